//! Where in a configuration file something stands. What the file says there is not repeated where
//! it may be a secret.

/// The line (from 1 on) that an error is about, and what is wrong there.
pub(super) fn told(text: &str, error: &toml::de::Error) -> (usize, String) {
    let start = error.span().map_or(0, |span| span.start);
    let line = text.get(..start).unwrap_or(text).matches('\n').count() + 1;
    let words = text.lines().nth(line - 1).unwrap_or_default().to_lowercase();
    let secret = ["token", "secret", "password"].iter().any(|word| words.contains(word));
    let reason = if secret {
        "its value cannot be read, and is not shown here: it may be secret".to_owned()
    } else {
        error.message().to_owned()
    };
    (line, reason)
}

/// The line in which a key (`raw.keep`), or a table (`[retain]`), stands; 1 where it is not found.
pub(super) fn of_key(text: &str, key: &str) -> usize {
    let name = if key.starts_with('[') { key } else { key.rsplit('.').next().unwrap_or(key) };
    let found = text.lines().position(|line| {
        let line = line.trim_start().trim_start_matches(['"', '\'']);
        let rest = line.strip_prefix(name).unwrap_or("#");
        name.starts_with('[') && line.starts_with(name)
            || rest.trim_start_matches(['"', '\'']).trim_start().starts_with(['=', '.'])
    });
    // A table that stands in one line with its key.
    found.map_or(1, |line| line + 1)
}
