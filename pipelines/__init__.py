"""From raw files to a published dataset. Each stage is a file or a folder named by a verb; all but publish make tables.

    raw files: JSONL, Parquet, texts, Hugging Face datasets
        |
      ingest ----> DOCUMENTS, REJECTED              one file a format in ingest/readers/
        |
      dedup -----> SIGNATURES, DUPLICATES, NEAR     which documents are kept
        |
      encode ----> TOKENS                           input_ids of the kept documents, or why there are none
        |
      screen ----> BACKGROUND, SCORES_CHEAP         scores without a model, computed in scorers/cheap/
        |
      score -----> BUDGET, SCORES_<kind>            scores with a model; each kind is a file or folder in scorers/
        |
      plan ------> TARGETS, DRAWS                   which copies of which documents
        |
      embed -----> EMBEDDINGS                       a vector of each drawn document, by an encoder of scorers/embedding.py
        |
      order -----> CENTROIDS, ORDER, DRAWS again    a path through related documents; one file an order in order/orders/
        |          CHUNKS                           neighbours of their chunks, for the packer negative_extension alone
        |
      pack ------> SEQUENCES                        training rows; one file a packer in pack/packers/
        |
      publish ---> datasets/MIX/VERSION/            sequences-*.parquet, catalog.duckdb, card, report, manifest.json

A set of instruction samples, a recipe of sft_recipe.py, has other stages after dedup; build_sft.py calls them:

    dedup ----> encode.samples > SAMPLES -> influence > SCORES_HMG, SCORES_CAM -> choose > RANKS, QUOTAS, CHOSEN, DRAWS,
    MESSAGES -> pack > SFT_SEQUENCES -> publish

    build.py         calls the stages in this order, and makes damaged shards again
    forecast/        `longmix plan`; it and calibrate.py call the functions of build.py and only look
    recipe.py        the TOML file: a section is the Params class of its stage, a key is a field of that class
    beam_faults.py   what is wrong with [run]: runners and options that Beam does not have
    beam_parts.py    what every pipeline is made of: its options, and elements spread over the workers
    recipe_faults.py, names.py    what is wrong with a recipe, in the words of its keys; sizes such as "128K"; names
    stage.py         the engine: looks up what was made before and spreads the rest with Beam
    actions.py       the most frequent action: one shard, made by a function of columns of others
    reuse.py         rows of unchanged documents, copied from the shards of an earlier version
    batches.py       consecutive texts of about the same number of bytes
    failures.py      unexpected errors: a line with a remedy, and a file with the traceback
    once.py          results that a process computes once, whatever the number of its workers
    memory.py        freed memory goes back to the system
    store/           shards, actions, scratch folders, the lock; files.py alone renames, syncs, maps and locks files
    catalog.py       DuckDB over the tables of a version
    versions.py      published versions
    ingested.py      what the last ingest of a mix made, for queries after a failed build
    documents.py, keys.py, shares.py    shared by stages: small columns, keyed order, exact shares
    peek.py          columns and footers of shards without reading all of their files
    conversations.py an instruction sample as the text of a document: canonical JSON
    own_tokenizer.py    the tokenizer of a scoring model
    kept_vectors.py  vectors by content, in blocks: those of documents and those of chunks
    row_groups.py    which row groups of a shard to read for some of its rows
    pieces.py        where the tokens of documents are, and pieces of them by shard
    rows.py          position ids, labels and masks of a training row, for trainers
    markdown.py      values of users' data in the card and in Prefect's artifacts
    supply.py, findings.py    sentences on shortfalls, rejected records, the encoding and the path
    chosen.py        figures of a set of samples: queries of the views
    check.py, garbage.py, diff.py, overview.py     commands on a built root: longmix check, gc, diff, list
    survey.py, first_records.py    what a folder of files holds, for longmix init
    gather/          step zero: packages -> raw files of the default corpus, and the default models; demonstration.py builds
                     instruction samples from the corpus

    to add           edit
    a reader         a file in ingest/readers/ and its name in READERS
    a scorer         a file in scorers/, its columns in schemas/scores.py, its params in scorers/__init__.py
    a selector       a row of SELECTORS in plan/selection.py
    an order         a file in order/orders/ and its name in ORDERS
    a packer         a file in pack/packers/ and its name in PACKERS
    a figure         a view in schemas/views.sql; the report (publish/report.py) and the card (publish/card.py) show views
    a recipe key     a field of the stage's Params class
    a command        flows/cli.py, or a file in flows/ that cli.py registers; its wording in flows/*text.py

Columns of all tables: schemas/tables.py. Laws: schemas/laws.sql. Pages: docs/. Tests mirror these folders in tests/.
"""

import schemas  # noqa: F401 chooses the folder of compiled kernels before the first import of numba
