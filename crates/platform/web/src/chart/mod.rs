//! Charts as accessible SVG, with the table of their values behind them.
//!
//! Drawn on the server. Colours, strokes and text sizes are classes; lengths across are
//! percentages or a stretched view box, so that text stays the same size at every width.
//! What is unknown is a gap, never a zero. Values are exact decimals and stay so in the table;
//! only the geometry is floating point.

mod bars;
mod geometry;
mod scale;
mod spark;
mod time_axis;
mod time_chart;

pub use bars::Bars;
pub use scale::{Scale, nice_ticks};
pub use spark::Sparkline;
pub use time_axis::{TimeTick, time_ticks};
pub use time_chart::{Forecast, ForecastPoint, Kind, Limit, Mark, Point, Series, TimeChart};
