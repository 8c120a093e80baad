//! Which processor each process of a run is pinned to.

use super::references::line;
use postbox_program::ending::Ending;
use postbox_sys::cpu;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Cores {
    /// Both sides on one core
    Same,
    /// The two sides on different cores
    Different,
}

/// The processors that are used.
#[derive(Debug, Clone)]
pub struct Placement {
    cpus: Vec<usize>,
    /// What it amounts to.
    pub cores: Cores,
}

impl Placement {
    /// What is asked for, or different cores if there are any.
    ///
    /// # Errors
    ///
    /// Bad input: this process may use one core only, and two are asked for.
    pub fn find(asked: Option<Cores>) -> Result<Self, Ending> {
        let cpus = cpu::available()
            .map_err(|errno| Ending::Failure(format!("cannot tell the processors: {errno}")))?;
        Placement::among(cpus, asked)
    }

    fn among(cpus: Vec<usize>, asked: Option<Cores>) -> Result<Self, Ending> {
        let cores = match asked {
            Some(Cores::Different) if cpus.len() < 2 => {
                return Err(Ending::BadInput(
                    "this process may use one core only, so nothing can run on different ones: \
                     take --cores same, or widen its affinity (taskset)"
                        .into(),
                ));
            }
            Some(cores) => cores,
            None if cpus.len() < 2 => Cores::Same,
            None => Cores::Different,
        };
        Ok(Placement { cpus, cores })
    }

    /// The same processors, used in that way.
    pub fn on(&self, cores: Cores) -> Self {
        Placement { cores, ..self.clone() }
    }

    /// The processors of the two sides.
    pub fn pair(&self) -> line::Cores {
        let here = self.cpus[0];
        match self.cores {
            Cores::Same => (here, here),
            Cores::Different => (here, self.cpus[self.cpus.len() - 1]),
        }
    }

    /// The processor of process `index`, receivers counted first, where there are several.
    pub fn of(&self, index: u32) -> usize {
        match self.cores {
            Cores::Same => self.cpus[0],
            Cores::Different => self.cpus[index as usize % self.cpus.len()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_core_is_enough_for_the_same_and_for_nothing_else() {
        let alone = Placement::among(vec![3], None).unwrap();
        assert_eq!((alone.cores, alone.pair()), (Cores::Same, (3, 3)));
        let refused = Placement::among(vec![3], Some(Cores::Different)).unwrap_err();
        assert!(refused.reason().unwrap().contains("--cores same"));
        let two = Placement::among(vec![0, 1], None).unwrap();
        assert_eq!((two.pair(), two.of(2)), ((0, 1), 0));
    }
}
