//! What a typed line asks for.

/// The commands, for who asks.
pub const HELP: &str = "TEXT is for everyone; /to NAME TEXT for one; /who lists who is here; /quit, \
or Ctrl-D, leaves";

/// A typed line, understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Command<'l> {
    /// Nothing was typed.
    Nothing,
    /// To everyone.
    Say(&'l str),
    /// To one.
    To { name: &'l str, text: &'l str },
    /// Who is here?
    Who,
    /// Which commands are there?
    Help,
    /// Leave.
    Quit,
    /// None of these; what to type instead.
    Wrong(String),
}

impl<'l> Command<'l> {
    /// Understands a line.
    pub fn parse(line: &'l str) -> Self {
        let line = line.trim();
        let Some(command) = line.strip_prefix('/') else {
            return if line.is_empty() { Command::Nothing } else { Command::Say(line) };
        };
        let (word, rest) = first_word(command);
        match (word, first_word(rest)) {
            ("to", (name, text)) if !text.is_empty() => Command::To { name, text },
            ("to", _) => Command::Wrong("to whom, and what? /to NAME TEXT".into()),
            ("who", ("", _)) => Command::Who,
            ("help", ("", _)) => Command::Help,
            ("quit", ("", _)) => Command::Quit,
            ("who" | "help" | "quit", _) => Command::Wrong(format!("/{word} stands alone")),
            _ => Command::Wrong(format!("there is no command '/{word}': {HELP}")),
        }
    }
}

/// The first word, and what follows it.
fn first_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_begin_with_a_slash_is_for_everyone() {
        assert_eq!(Command::parse("  hello, all /who "), Command::Say("hello, all /who"));
        assert_eq!(Command::parse(" \t"), Command::Nothing);
    }

    #[test]
    fn a_private_message_has_a_name_and_a_text() {
        let to = Command::To { name: "bob", text: "are you  there?" };
        assert_eq!(Command::parse("/to bob  are you  there?"), to);
        for half in ["/to", "/to bob", "/to bob  "] {
            assert!(matches!(Command::parse(half), Command::Wrong(_)), "{half}");
        }
    }

    #[test]
    fn commands_stand_alone() {
        assert_eq!(Command::parse("/who"), Command::Who);
        assert_eq!(Command::parse("/quit "), Command::Quit);
        for wrong in ["/who now", "/quit it", "/", "/exit"] {
            assert!(matches!(Command::parse(wrong), Command::Wrong(_)), "{wrong}");
        }
    }
}
