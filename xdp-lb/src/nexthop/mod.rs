//! Which interface and MAC address lead to a backend, from netlink route and neighbour events. Decides nothing else.
