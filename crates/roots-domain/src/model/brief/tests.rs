//! Tests of the brief.
