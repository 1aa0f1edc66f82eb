//! Sigma rules: parser, compiler, matcher and correlations.
