//! The chat, as people use it: several processes, told apart by their names. Over pipes for what it
//! does, in terminals for how it looks.

mod holder;
mod lobby;
mod private;
mod scene;
mod terminal;
mod usage;
