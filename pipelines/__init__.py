"""From raw files to a published dataset. A stage makes a table: it is a file, or a folder, named by a verb.

    raw files: JSONL, Parquet, texts, Hugging Face datasets
        |
      ingest ----> DOCUMENTS, REJECTED              one file a format in ingest/readers/
        |
      dedup -----> SIGNATURES, DUPLICATES, NEAR     which documents are kept
        |
      encode ----> TOKENS                           input_ids of the kept documents
        |
      screen ----> BACKGROUND, SCORES_CHEAP         scores without a model: scorers/cheap/
        |
      score -----> BUDGET, SCORES_<kind>            scores with a model: a file each in scorers/
        |
      plan ------> TARGETS, DRAWS                   which copies of which documents; selectors in plan/selection.py
        |
      pack ------> SEQUENCES                        training rows: one file a packer in pack/packers/
        |
      publish ---> datasets/MIX/VERSION/            sequences-*.parquet, card.py, report.py, catalog.duckdb, manifest

    build.py       calls the stages in this order; forecast/ (`longmix plan`) and calibrate.py call the same functions
    recipe.py      the TOML file; a section is the Params class of its stage, a key is a field of it
    stage.py       the engine: looks up what was made before and spreads the rest with Beam
    store/         shards, actions, the lock, and the only door to files
    catalog.py     DuckDB over the tables of a version: schemas/views.sql, schemas/laws.sql
    versions.py    published versions        supply.py    what the corpus could not supply
    documents.py, keys.py, shares.py         what several stages share
    check.py, garbage.py, diff.py            commands on a built root
    gather/        step zero: packages -> raw files of the default corpus, and the default model

What a table holds is in schemas/tables.py, numbers are computed in scorers/, wording for people is in flows/text.py.
"""
