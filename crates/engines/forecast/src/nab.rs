//! The scorer of the Numenta Anomaly Benchmark (Lavin, Ahmad 2015): early detections in a labelled window
//! earn, missed windows and alarms outside of windows cost.

/// What is earned and what is paid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// For a window detected at its first row.
    pub true_positive: f64,
    /// For a window that was missed.
    pub false_negative: f64,
    /// For an alarm far from any window.
    pub false_positive: f64,
}

/// One file: anomaly scores by row, and the labelled windows as first and last row, both included, in order
/// and without overlap.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// One score a row; the higher, the more anomalous.
    pub scores: Vec<f64>,
    /// The windows.
    pub windows: Vec<(usize, usize)>,
}

/// The score of a set of files at one threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// A row is an alarm when its score is at least this.
    pub threshold: f64,
    /// The sum of what was earned and paid.
    pub raw: f64,
    /// 0 for a detector that never alarms, 100 for one that finds each window at its first row and nothing else.
    pub normalised: f64,
    /// Windows found.
    pub found: usize,
    /// All windows.
    pub windows: usize,
    /// Alarms outside of windows, rows.
    pub false_alarms: usize,
}

/// Rows at the beginning of a file that are not scored.
pub fn probation(rows: usize) -> usize {
    (15 * rows / 100).min(750)
}

fn sigmoid(y: f64) -> f64 {
    2.0 / (1.0 + (5.0 * y).exp()) - 1.0
}

/// What an alarm at one row means.
#[derive(Debug, Clone, Copy)]
struct Row {
    score: f64,
    /// File and window, when inside one.
    window: Option<(usize, usize)>,
    worth: f64,
}

fn rows(file: usize, labelled: &Labelled, costs: Costs) -> Vec<Row> {
    let count = labelled.scores.len();
    let mut all = Vec::with_capacity(count);
    let mut last: Option<(usize, usize)> = None;
    let mut windows = labelled.windows.iter().enumerate().peekable();
    for (row, score) in labelled.scores.iter().enumerate() {
        while let Some((_, (from, to))) = windows.peek()
            && row > *to
        {
            last = Some((*to, to - from + 1));
            windows.next();
        }
        let inside = windows.peek().filter(|(_, (from, _))| row >= *from);
        let (window, worth) = match (inside, last) {
            (Some((index, (from, to))), _) => {
                let width = (to - from + 1) as f64;
                let y = -((to - row + 1) as f64) / width;
                let worth = sigmoid(y) / sigmoid(-1.0) * costs.true_positive;
                (Some((file, *index)), worth)
            }
            (None, Some((to, width))) => {
                let y = (row - to) as f64 / (width.max(2) - 1) as f64;
                let worth = if y > 3.0 { -1.0 } else { sigmoid(y) };
                (None, worth * costs.false_positive)
            }
            (None, None) => (None, -costs.false_positive),
        };
        if row >= probation(count) {
            all.push(Row {
                score: *score,
                window,
                worth,
            });
        }
    }
    all
}

/// The scores at every threshold that makes a difference, from the highest threshold on; the first one
/// alarms never.
pub fn sweep(files: &[Labelled], costs: Costs) -> Vec<Score> {
    let mut all: Vec<Row> = files
        .iter()
        .enumerate()
        .flat_map(|(index, file)| rows(index, file, costs))
        .collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    let windows: usize = files.iter().map(|file| file.windows.len()).sum();
    // A window that lies in probation cannot be found and is not held against the detector.
    let live = files
        .iter()
        .map(|file| {
            let first = probation(file.scores.len());
            file.windows.iter().filter(|(_, to)| *to >= first).count()
        })
        .sum::<usize>();
    let nothing = -costs.false_negative * windows as f64;
    let perfect = costs.true_positive * windows as f64;
    let normalise = |raw: f64| 100.0 * (raw - nothing) / (perfect - nothing);
    let mut raw = -costs.false_negative * live as f64;
    let mut best: std::collections::BTreeMap<(usize, usize), f64> =
        std::collections::BTreeMap::new();
    let mut false_alarms = 0;
    let mut scores = vec![Score {
        threshold: f64::INFINITY,
        raw,
        normalised: normalise(raw),
        found: 0,
        windows,
        false_alarms,
    }];
    let mut rest = all.as_slice();
    while let Some(first) = rest.first() {
        let same = rest
            .iter()
            .take_while(|row| row.score == first.score)
            .count();
        let (now, later) = rest.split_at(same.max(1));
        for row in now {
            match row.window {
                None => {
                    raw += row.worth;
                    false_alarms += 1;
                }
                Some(window) => match best.get_mut(&window) {
                    None => {
                        raw += costs.false_negative + row.worth;
                        best.insert(window, row.worth);
                    }
                    Some(there) if row.worth > *there => {
                        raw += row.worth - *there;
                        *there = row.worth;
                    }
                    Some(_) => {}
                },
            }
        }
        scores.push(Score {
            threshold: first.score,
            raw,
            normalised: normalise(raw),
            found: best.len(),
            windows,
            false_alarms,
        });
        rest = later;
    }
    scores
}

/// The score at one threshold for all files.
pub fn score(files: &[Labelled], costs: Costs, threshold: f64) -> Option<Score> {
    sweep(files, costs)
        .into_iter()
        .rfind(|score| score.threshold >= threshold)
}

/// The best score of any threshold, the same for all files.
pub fn best(files: &[Labelled], costs: Costs) -> Option<Score> {
    sweep(files, costs)
        .into_iter()
        .max_by(|a, b| a.raw.total_cmp(&b.raw))
}
