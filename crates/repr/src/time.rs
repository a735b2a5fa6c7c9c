//! Civil dates and times on PostgreSQL's calendar and range, and time zones.
