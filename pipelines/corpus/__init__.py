"""The default corpus: seven domains of real text, out of packages that registries already carry."""
