//! Every constant of the choice, with its default.

use std::time::Duration;

use crate::control::curves::WILSON_Z;

/// The constants of the choice. Where a default differs from what is usual, these were the reasons, each found by trial
/// in a simulation of four balancers and 20 servers:
///
/// - The best of five drawn has two thirds of the p99 of the best of two where load is low and half the servers are
///   slow, and the same where they are alike.
/// - A rule that puts the queue before the score above some quantile loses wherever servers differ, so there is none
///   by default.
/// - High utilization holds nobody back and brakes late: where servers differ, the fast ones are to be full.
/// - Reports of requests in flight count for half a latency. Longer, they mislead under high load.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Servers drawn and compared for each request, at least 1.
    pub choices: u32,
    /// Further draws, for each of the choices, where the first hit a server that takes nothing.
    pub redraws: u32,
    /// Share of the weight that filters may hold back, though always one server of several; beyond it they are ignored, as
    /// the error is likelier in what they measure.
    pub filtered_most: f64,
    /// Share of picks that may go to a server of which nothing was heard lately, whatever its score.
    pub explore: f64,
    /// What "lately" means.
    pub explore_after: Duration,

    /// Error rate above which a server takes nothing.
    pub error_filter: f64,
    /// Time constant by which answers fade from the error rate.
    pub error_window: Duration,
    /// Standard deviations by which the error rate is estimated low.
    pub error_z: f64,
    /// Least factor for errors.
    pub error_floor: f64,

    /// Errors in a row that eject a server; 0 ejects nobody.
    pub eject_after: u32,
    /// How long the first ejection lasts; each further one twice as long. All jittered by a tenth.
    pub eject_least: Duration,
    /// How long an ejection lasts at most.
    pub eject_most: Duration,
    /// A server that stayed in for so long is ejected as if for the first time.
    pub eject_forget: Duration,
    /// Median error rate of the pool, of an even count the lower, above which nobody is ejected: the cause is not in one
    /// server.
    pub eject_off: f64,

    /// How fast the requests that others have in flight are forgotten after a report of them, at most.
    pub queue_fade: Duration,
    /// The same in median latencies of the pool: what was in flight is over after about one.
    pub queue_fade_latencies: f64,
    /// Added to the queue: how little a request in flight counts beside the latency.
    pub queue_offset: f64,
    /// The same in mean queues of the pool: servers that work on many requests at once have long queues, in which one
    /// more costs little.
    pub queue_offset_means: f64,
    /// Servers whose queue is above this quantile of the pool's are hot, and lose against any that is not. 1 for none.
    pub hot_quantile: f64,

    /// Answers after which a latency is half forgotten, roughly; but not before [`latency_window`](Self::latency_window).
    pub latency_samples: f64,
    /// Time in which a latency is forgotten, where answers are so many that their number does not limit it.
    pub latency_window: Duration,
    /// Time constant by which a latency is forgotten without answers.
    pub latency_fade: Duration,
    /// So many answers at the pool's median are assumed of a server of which nothing is known.
    pub latency_prior: f64,
    /// Standard errors by which a latency is taken to be nearer to the median than it looks.
    pub latency_doubt: f64,
    /// Least ratio of a latency to the median.
    pub latency_least: f64,
    /// Greatest ratio of a latency to the median.
    pub latency_most: f64,

    /// Utilization above which a server takes nothing; 1 for no such limit.
    pub utilization_filter: f64,
    /// How long a report of utilization counts.
    pub utilization_stale: Duration,
    /// Utilization from which on a server is braked.
    pub brake_from: f64,
    /// What the brake of a server at utilization 1 is.
    pub brake_floor: f64,
    /// Mean utilization of the pool from which on nobody is braked, as there is nowhere to go.
    pub brake_off: f64,

    /// Age at which a server takes its whole share; zero: at once.
    pub warmup_window: Duration,
    /// Least factor, of the very young.
    pub warmup_floor: f64,
    /// The factor grows in steps of so long.
    pub warmup_step: Duration,

    /// What concerns the pool as a whole is found anew after so long, or once as many picks were made as there are
    /// servers.
    pub survey_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            choices: 5,
            redraws: 6,
            filtered_most: 0.33,
            explore: 0.01,
            explore_after: Duration::from_secs(1),
            error_filter: 0.3,
            error_window: Duration::from_secs(10),
            error_z: WILSON_Z,
            error_floor: 1e-3,
            eject_after: 5,
            eject_least: Duration::from_secs(5),
            eject_most: Duration::from_secs(60),
            eject_forget: Duration::from_secs(60),
            eject_off: 0.2,
            queue_fade: Duration::from_millis(500),
            queue_fade_latencies: 0.5,
            queue_offset: 1.0,
            queue_offset_means: 1.0,
            hot_quantile: 1.0,
            latency_samples: 16.0,
            latency_window: Duration::from_millis(100),
            latency_fade: Duration::from_secs(30),
            latency_prior: 1.0,
            latency_doubt: 0.0,
            latency_least: 0.25,
            latency_most: 8.0,
            utilization_filter: 1.0,
            utilization_stale: Duration::from_secs(2),
            brake_from: 0.95,
            brake_floor: 0.5,
            brake_off: 0.85,
            warmup_window: Duration::from_secs(90),
            warmup_floor: 0.1,
            warmup_step: Duration::from_secs(10),
            survey_interval: Duration::from_millis(100),
        }
    }
}
