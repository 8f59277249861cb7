//! Reads the sessions of a timeline.

use std::sync::Arc;

use roots_domain::model::chart::LaneSession;
use roots_domain::model::page::{LIMIT_MAX, PageRequest, Start};
use roots_domain::model::session::SessionWindow;
use roots_domain::model::time::Timestamp;
use roots_domain::service::access::ActorScope;
use roots_http_core::problem::Problem;

use crate::app::App;
use crate::viewer::Viewer;

/// Most reads of a page of sessions for one timeline.
const READS_MAX: usize = 5;
