//! What every part of the platform speaks: ids, clock, tenant scope, problems.
