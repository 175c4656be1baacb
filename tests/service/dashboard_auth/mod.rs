//! Who gets in to the dashboard and the API, and what they may do there: the real server and gate on a real database, with
//! a clock of the test's own; and the real daemon where it is about starting and about what it writes.

mod daemon;
mod own_account;
mod response;
mod sessions;
mod stage;
mod throttle;
mod ways;
mod writes;
