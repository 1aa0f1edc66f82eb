//! The frame as a browser and a reader meet it.
#![allow(clippy::unwrap_used)]

#[path = "../../examples/gallery/data.rs"]
mod data;
#[path = "../../examples/gallery/pages.rs"]
mod pages;

mod chart;
mod component;
mod gallery;
mod http;
