"""The views and laws of an order on a few rows, worked out by hand."""
