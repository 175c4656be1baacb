//! Collects problems up to a limit for each file and for all of them, and counts the rest: a file of a million mistakes is
//! told about like one with a few. Does not know what a problem is about.

use std::collections::BTreeMap;

use super::Problem;

/// The most problems of one file that are described; the rest are counted.
const MOST_IN_FILE: usize = 100;
/// The most problems of all files that are described.
const MOST_IN_ALL: usize = 1_000;
/// After this many problems no misspelled name of another file is looked up: comparing with every name costs time.
const MOST_SUGGESTIONS: usize = 20;

/// Problems as they are found.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    kept: Vec<Problem>,
    files: BTreeMap<String, FileCount>,
    all: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct FileCount {
    kept: usize,
    left_out: usize,
}

impl Problems {
    /// Adds a problem, or counts it if there are too many already.
    pub(crate) fn push(&mut self, problem: Problem) {
        self.all = self.all.saturating_add(1);
        let is_full = self.kept.len() >= MOST_IN_ALL;
        let count = self.files.entry(problem.file.clone()).or_default();
        if is_full || count.kept >= MOST_IN_FILE {
            count.left_out = count.left_out.saturating_add(1);
        } else {
            count.kept = count.kept.saturating_add(1);
            self.kept.push(problem);
        }
    }

    /// Counts problems of a file that nobody described.
    pub(crate) fn count(&mut self, file: &str, problems: usize) {
        if problems > 0 {
            self.all = self.all.saturating_add(problems);
            let count = self.files.entry(file.into()).or_default();
            count.left_out = count.left_out.saturating_add(problems);
        }
    }

    /// How many more problems of a file are described.
    pub(crate) fn room(&self, file: &str) -> usize {
        let of_file = MOST_IN_FILE.saturating_sub(self.files.get(file).map_or(0, |count| count.kept));
        of_file.min(MOST_IN_ALL.saturating_sub(self.kept.len()))
    }

    /// Whether a misspelled name of another file is still worth looking for.
    pub(crate) fn may_suggest(&self) -> bool {
        self.all < MOST_SUGGESTIONS
    }

    /// How many problems there are, described or not.
    pub(crate) fn len(&self) -> usize {
        self.all
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all == 0
    }

    /// The problems in the order of the files, each once, and at the end of a file how many more it has.
    pub(crate) fn finish(mut self) -> Vec<Problem> {
        self.kept.sort();
        self.kept.dedup();
        let (mut told, mut untold) = (Vec::new(), Vec::new());
        for (file, count) in self.files.iter().filter(|(_, count)| count.left_out > 0) {
            (if count.kept > 0 { &mut told } else { &mut untold }).push((file, count.left_out));
        }
        for (file, more) in told {
            let end = self.kept.partition_point(|problem| problem.file <= *file);
            self.kept.insert(end, and_more(file, format!("and {}", counted(more, "more problem"))));
        }
        if let Some((file, _)) = untold.first() {
            let problems = untold.iter().fold(0usize, |sum, (_, more)| sum.saturating_add(*more));
            let what = format!("{} in {}", counted(problems, "more problem"), counted(untold.len(), "more file"));
            self.kept.push(and_more(file, format!("and {what}, this one first")));
        }
        self.kept
    }
}

impl Extend<Problem> for Problems {
    fn extend<T: IntoIterator<Item = Problem>>(&mut self, problems: T) {
        problems.into_iter().for_each(|problem| self.push(problem));
    }
}

fn and_more(file: &str, what: String) -> Problem {
    Problem::of_file(file, what).hint("correct the ones above first; then the rest is described")
}

fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_many_mistakes_is_told_about_in_a_hundred_problems_and_a_count() {
        let mut problems = Problems::default();
        problems.push(Problem::of_file("b.yaml", "the only one"));
        (0..5_000).for_each(|number| problems.push(Problem::of_file("a.yaml", format!("{number:05}"))));
        problems.count("a.yaml", 10_000);
        assert_eq!((problems.len(), problems.room("a.yaml"), problems.room("b.yaml")), (15_001, 0, 99));
        let told = problems.finish();
        assert_eq!(told.len(), MOST_IN_FILE + 2);
        assert_eq!(told[MOST_IN_FILE].what, "and 14900 more problems");
        assert_eq!(told[MOST_IN_FILE + 1].file, "b.yaml");
    }

    #[test]
    fn many_files_of_mistakes_are_told_about_in_a_thousand_problems_and_a_count() {
        let mut problems = Problems::default();
        for file in 0..2_000 {
            problems.push(Problem::of_file(format!("{file:04}.yaml"), "wrong"));
        }
        let told = problems.finish();
        assert_eq!(told.len(), MOST_IN_ALL + 1);
        assert_eq!(told[MOST_IN_ALL].file, "1000.yaml");
        assert_eq!(told[MOST_IN_ALL].what, "and 1000 more problems in 1000 more files, this one first");
    }
}
