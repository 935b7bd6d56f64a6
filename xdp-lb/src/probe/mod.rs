//! One health check, once: connects, asks, tells. Never schedules and never judges a backend.
