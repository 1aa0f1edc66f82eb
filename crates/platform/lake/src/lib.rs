//! Events as Delta tables, queried by DataFusion.
