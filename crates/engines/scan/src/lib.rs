//! Detectors of secrets and of personal, financial and health data.
