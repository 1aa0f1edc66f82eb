//! Money in integer minor units of ISO 4217 currencies.
