//! RFC 6962 trees, C2SP tiles, checkpoints, signed notes and proofs.
