//! Users, sessions, API keys and roles.
