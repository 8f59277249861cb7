//! The paths, parameters and media types of the REST API that several files use.

/// The path of the health check.
pub(crate) const HEALTH_PATH: &str = "/health";
/// The path of the readiness check, which asks the database.
pub(crate) const READY_PATH: &str = "/ready";
/// The path of the pages that describe the API.
pub(crate) const DOCS_PATH: &str = "/docs";
/// The route of these pages' files.
pub(crate) const FILE_PATH: &str = "/docs/{file}";
/// The path of imports.
pub(crate) const IMPORT_PATH: &str = "/api/v1/import";
/// The path of searches.
pub(crate) const SEARCH_PATH: &str = "/api/v1/search";
/// The parameter that makes an import a dry run.
pub(crate) const DRY_RUN: &str = "dry_run";
