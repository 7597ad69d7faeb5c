//! Result files: schema, Parquet, manifest.
