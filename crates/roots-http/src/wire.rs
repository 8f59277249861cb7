//! The paths, parameters and media types of the REST API that several files use.

/// The path of imports.
pub(crate) const IMPORT_PATH: &str = "/api/v1/import";
/// The path of searches.
pub(crate) const SEARCH_PATH: &str = "/api/v1/search";
/// The parameter that makes an import a dry run.
pub(crate) const DRY_RUN: &str = "dry_run";
/// The media type of JSON lines.
pub(crate) const NDJSON: &str = "application/x-ndjson";
