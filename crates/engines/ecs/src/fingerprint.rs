//! One value for texts that are nearly the same.

/// A hash of what a text says when case, spaces, punctuation, digits and the order of signs around
/// words do not count: lower-case words in their order, each number as one sign, words of more than
/// 24 letters (keys, hashes) as one sign. So prompts that differ in a number, an id or their layout
/// have the same value, and the prompt itself need not be kept.
///
/// 128 bits of BLAKE3 as hexadecimal text. Read are at most 64 KiB.
pub fn fingerprint(text: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut word = String::new();
    let mut end = 65_536.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    for c in text[..end].chars().chain([' ']) {
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        } else if !word.is_empty() {
            let sign = if word.chars().any(char::is_numeric) {
                "#"
            } else if word.chars().count() > 24 {
                "*"
            } else {
                word.as_str()
            };
            hasher.update(sign.as_bytes());
            hasher.update(b" ");
            word.clear();
        }
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn numbers_and_layout_do_not_count_and_words_do() {
        let a = fingerprint("Give me the record of customer 1041, please!");
        assert_eq!(a, fingerprint("give me  the record\nof customer 77 please"));
        assert_ne!(
            a,
            fingerprint("Give me the records of customer 1041, please!")
        );
        assert_eq!(a.len(), 32);
    }
}
