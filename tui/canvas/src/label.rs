//! Labels to type at what can be chosen.

/// Letters by how easily they are typed.
const LETTERS: &[u8] = b"fjdksalghrueiwoqptyvncmxbz";

/// `n` labels of one or two letters (more only beyond 676), none of which begins another, the shortest first.
pub fn labels(n: usize) -> Vec<String> {
    let letters: Vec<String> = LETTERS.iter().map(|letter| char::from(*letter).to_string()).collect();
    let mut labels = letters.clone();
    let mut next = 0;
    // Splitting one label gives 26 for one; the last letters are split first, so that the easy ones stay single.
    while labels.len() < n {
        let room = labels.len() - next;
        let longest = labels[labels.len() - 1].len();
        let single = labels.iter().skip(next).filter(|label| label.len() < longest).count();
        let split = if single > 0 { next + single - 1 } else { next + room - 1 };
        let stem = labels.remove(split);
        labels.extend(letters.iter().map(|letter| format!("{stem}{letter}")));
        next = 0;
    }
    labels.truncate(n);
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_begins_another() {
        for n in [0, 1, 26, 27, 100, 676, 700] {
            let labels = labels(n);
            assert_eq!(labels.len(), n);
            for a in &labels {
                let starts = labels.iter().filter(|b| b.starts_with(a.as_str())).count();
                assert_eq!(starts, 1, "{a} of {n}");
            }
        }
    }

    #[test]
    fn most_labels_of_a_few_ports_are_one_letter() {
        assert_eq!(labels(3), ["f", "j", "d"]);
        let thirty = labels(30);
        assert_eq!(thirty.iter().filter(|label| label.len() == 1).count(), 25);
        assert!(labels(676).iter().all(|label| label.len() == 2));
    }
}
