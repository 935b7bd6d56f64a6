//! What operators ask the agent: control socket and metrics. Never changes anything.
