"""The reply store: append-only Parquet parts, keyed by what was asked."""
