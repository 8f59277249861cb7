//! The pages of Roots: what agents do, as it happens, and the forms to steer them.
//!
//! [`surface`] builds them on the services of `roots-domain`. No page holds a rule or a query: a
//! handler reads a request, calls services, and writes HTML. HTML is made by maud, which escapes
//! every text; the stylesheet and the script are part of the program.
//!
//! - `pages` has a file for each page. `router` lists their paths.
//! - `viewer` is who looks: the bearer, and how they want to see it (`look`).
//! - `layout` is the frame of a page, `problem_page` the page of an error.
//! - `text` shows what agents wrote, which is hostile; `time` shows times in the viewer's zone.
//! - `form` reads forms; `guard` refuses requests of other sites and writes the headers.
//! - `once` runs the writes of forms.
//! - `rows` reads rows and opens their texts.

mod address;
mod agents;
mod answer;
mod app;
mod assets;
mod balance;
mod chart;
#[cfg(test)]
mod contrast;
mod cookie;
mod entries;
mod first_steps;
mod form;
mod guard;
mod layout;
mod look;
mod once;
mod pages;
mod problem_page;
mod query;
mod router;
mod rows;
mod settings;
mod text;
mod time;
mod viewer;
mod work;

pub use router::surface;
pub use settings::Dashboard;
