//! The one loop: feeds events to control and carries out its commands. Decides nothing.
