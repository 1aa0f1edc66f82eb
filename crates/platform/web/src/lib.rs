//! The console's frame: layout, assets, tables, charts, the seal.
