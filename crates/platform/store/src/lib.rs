//! State in SQLite or PostgreSQL behind one boundary.
