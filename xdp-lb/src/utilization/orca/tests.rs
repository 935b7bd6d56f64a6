use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use proptest::prelude::*;
use prost::Message as _;

use super::message::OrcaLoadReport;
use super::*;

/// Some time after 1970.
const NOW: Duration = Duration::from_secs(1_800_000_000);

fn used(utilization: f64) -> Report {
    Report { utilization: Some(utilization), ..Report::default() }
}

fn message() -> OrcaLoadReport {
    OrcaLoadReport {
        cpu_utilization: 0.25,
        rps_fractional: 120.5,
        eps: 2.0,
        named_metrics: [("uptime_seconds".to_owned(), 77.0)].into(),
        ..OrcaLoadReport::default()
    }
}

fn whole() -> Report {
    Report {
        utilization: Some(0.25),
        rate: Some(120.5),
        errors: Some(2.0),
        age: Some(Duration::from_secs(77)),
        ..Report::default()
    }
}

#[test]
fn every_form_says_the_same() {
    let bytes = message().encode_to_vec();
    let padded = STANDARD.encode(&bytes);
    let bare = STANDARD_NO_PAD.encode(&bytes);
    let text = "cpu_utilization=0.25, rps_fractional=120.5,eps=2, named_metrics.uptime_seconds=77";
    let json =
        r#"{"cpu_utilization":0.25,"rpsFractional":"120.5","eps":2,"named_metrics":{"uptime_seconds":77}}"#;
    for (name, value) in [
        ("endpoint-load-metrics", format!("TEXT {text}")),
        ("endpoint-load-metrics", format!("TEXT {}", text.replace('=', ":"))),
        ("endpoint-load-metrics", text.to_owned()),
        ("endpoint-load-metrics", format!("JSON {json}")),
        ("endpoint-load-metrics", json.to_owned()),
        ("endpoint-load-metrics", format!("BIN {padded}")),
        ("endpoint-load-metrics", format!("BIN {bare}")),
        ("Endpoint-Load-Metrics-Bin", bare.clone()),
        ("endpoint-load-metrics-bin", padded.clone()),
        ("endpoint-load-metrics-json", json.to_owned()),
        ("x-endpoint-load-metrics", text.to_owned()),
        ("x-endpoint-load-metrics-bin", bare.clone()),
        ("x-endpoint-load-metrics-json", json.to_owned()),
    ] {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.insert(&name, HeaderValue::from_str(&value).unwrap());
        assert_eq!(parse_headers(&headers, NOW), Ok(whole()), "{name}: {value}");
    }
    assert_eq!(parse_message(&bytes, NOW), Ok(whole()));
}

#[test]
fn what_fields_mean() {
    for (description, value, expected) in [
        ("the application's own", "cpu_utilization=0.9,application_utilization=0.4", used(0.4)),
        ("an application's zero is none", "cpu_utilization=0.9,application_utilization=0", used(0.9)),
        ("an idle application", "application_utilization=0", used(0.0)),
        ("an idle server", "cpu_utilization=0", used(0.0)),
        ("a full one", "cpu_utilization=1", used(1.0)),
        ("memory is not what is balanced", "mem_utilization=0.4", Report::default()),
        ("older rates", "rps=7", Report { rate: Some(7.0), ..Report::default() }),
        ("newer rates win", "rps=7,rps_fractional=7.5", Report { rate: Some(7.5), ..Report::default() }),
        (
            "a start",
            "named_metrics.process_start_time_seconds=1799999990.5",
            Report { age: Some(Duration::from_secs_f64(9.5)), ..Report::default() },
        ),
        (
            "uptime needs no clock",
            "named_metrics.process_start_time_seconds=5,named_metrics.uptime_seconds=3",
            Report { age: Some(Duration::from_secs(3)), ..Report::default() },
        ),
        ("a start to come", "named_metrics.process_start_time_seconds=1800000100", Report::default()),
        ("names with signs in them", "cpu_utilization=0.5,named_metrics.a=b:c=-7", used(0.5)),
        ("costs and resources", "cpu_utilization=0.5,request_cost.disk=3487,utilization.disk=0.9", used(0.5)),
        ("JSON from the future", r#"{"cpuUtilization":0.5,"gpu":[1,{"a":true}],"eps":null}"#, used(0.5)),
    ] {
        assert_eq!(parse_value(value.as_bytes(), NOW), Ok(expected), "{description}: {value}");
    }
}

#[test]
fn refusals() {
    use NoReportKind::{AboveOne, Duplicated, Garbage, Infinite, Missing, Negative, NotANumber, TooLong};
    let long = format!("TEXT cpu_utilization=0.{}", "3".repeat(5000));
    let deep = "[".repeat(4000);
    for (value, kind, words) in [
        ("TEXT cpu_utilization=NaN", NotANumber, "cpu_utilization is NaN: expected a number"),
        ("TEXT cpu_utilization=inf", Infinite, "cpu_utilization = inf: expected a finite number"),
        ("TEXT cpu_utilization=1e999", Infinite, "cpu_utilization = inf"),
        ("TEXT cpu_utilization=-0.1", Negative, "cpu_utilization = -0.1: expected 0 or more"),
        ("TEXT cpu_utilization=1.7", AboveOne, "cpu_utilization = 1.7: expected 0 to 1"),
        ("TEXT application_utilization=1.0001", AboveOne, "application_utilization = 1.0001"),
        ("TEXT cpu_utilization=0.3,mem_utilization=2", AboveOne, "mem_utilization = 2"),
        ("TEXT cpu_utilization=0.3,utilization.disk=2", AboveOne, "\"utilization.disk\" = 2"),
        ("TEXT cpu_utilization=0.3,eps=-1", Negative, "eps = -1"),
        ("TEXT cpu_utilization=0.3,rps_fractional=1e300", Garbage, "not believed"),
        ("TEXT cpu_utilization=0.3,request_cost.x=-1", Negative, "\"request_cost.x\" = -1"),
        ("TEXT cpu_utilization=0.3,named_metrics.x=nan", NotANumber, "\"named_metrics.x\" is NaN"),
        ("TEXT cpu_utilization=0.3,named_metrics.uptime_seconds=-1", Negative, "uptime_seconds\" = -1"),
        ("TEXT named_metrics.uptime_seconds=1e300", Garbage, "expected at most 1e10"),
        ("TEXT cpu_utilization=0.3,cpu_utilization=0.3", Duplicated, "cpu_utilization is said twice"),
        ("TEXT named_metrics.a=1,named_metrics.a=2", Duplicated, "\"named_metrics.a\" is said twice"),
        ("TEXT cpu_utilisation=0.3", Garbage, "\"cpu_utilisation\" is no metric: expected application_"),
        ("TEXT cpu_utilization", Garbage, "\"cpu_utilization\": expected name=value"),
        ("TEXT cpu_utilization=", NotANumber, "\"cpu_utilization\" = \"\""),
        ("TEXT cpu_utilization=half", NotANumber, "= \"half\": expected a number"),
        ("TEXT cpu_utilization=0.5,", Garbage, "\"\": expected name=value"),
        ("TEXT named_metrics.=1", Garbage, "an entry without a name"),
        ("TEXT", Garbage, "\"TEXT\": expected name=value"),
        ("TEXT ", Garbage, "\"TEXT\": expected name=value"),
        ("", Missing, "without a single metric"),
        ("hello", Garbage, "\"hello\": expected name=value"),
        ("{}", Missing, "without a single metric"),
        ("JSON []", Garbage, "expected an object"),
        (&format!("JSON {deep}"), Garbage, "is not ORCA's JSON"),
        (r#"JSON {"cpuUtilization":"NaN"}"#, NotANumber, "cpu_utilization is NaN"),
        (r#"JSON {"cpuUtilization":"-Infinity"}"#, Infinite, "cpu_utilization = -inf"),
        (r#"JSON {"cpuUtilization":1e999}"#, Garbage, "number out of range"),
        (r#"JSON {"cpuUtilization":true}"#, NotANumber, "cpu_utilization: expected a number"),
        (r#"JSON {"cpu_utilization":0.1,"cpuUtilization":0.1}"#, Duplicated, "cpu_utilization is said twice"),
        (r#"JSON {"namedMetrics":{"a":1,"a":1}}"#, Duplicated, "\"named_metrics.a\" is said twice"),
        (r#"JSON {"namedMetrics":{},"named_metrics":{}}"#, Duplicated, "named_metrics is said twice"),
        (r#"JSON {"namedMetrics":7}"#, Garbage, "named_metrics: expected an object"),
        ("BIN !!!", Garbage, "\"!!!\" is not base64"),
        ("BIN aGVsbG8gd29ybGQ=", Garbage, "not an OrcaLoadReport"),
        (&long, TooLong, "5023 bytes of report: expected at most 4096"),
    ] {
        let refusal = parse_value(value.as_bytes(), NOW).unwrap_err();
        assert_eq!(refusal.kind, kind, "{value:.80}: {}", refusal.detail);
        assert!(refusal.detail.contains(words), "{value:.80}: {}", refusal.detail);
    }
}

#[test]
fn a_report_is_said_once() {
    type Given = &'static [(&'static str, &'static str)];
    let rows: [(Given, NoReportKind, &str); 3] = [
        (&[], NoReportKind::Missing, "no endpoint-load-metrics header in the answer"),
        (
            &[("endpoint-load-metrics", "eps=1"), ("endpoint-load-metrics", "eps=1")],
            NoReportKind::Duplicated,
            "more than one endpoint-load-metrics header",
        ),
        (
            &[("endpoint-load-metrics", "eps=1"), ("endpoint-load-metrics-bin", "AAAA")],
            NoReportKind::Duplicated,
            "both a endpoint-load-metrics and a endpoint-load-metrics-bin header",
        ),
    ];
    for (given, kind, words) in rows {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let refusal = parse_headers(&headers, NOW).unwrap_err();
        assert_eq!((refusal.kind, refusal.detail.as_str()), (kind, words));
    }
}

#[test]
fn a_message_that_is_too_long_or_empty_does_not_count() {
    let mut long = message();
    long.named_metrics.extend((0..300).map(|i| (format!("metric number {i}"), 1.0)));
    assert_eq!(parse_message(&long.encode_to_vec(), NOW).unwrap_err().kind, NoReportKind::TooLong);
    assert_eq!(parse_message(b"", NOW).unwrap_err().kind, NoReportKind::Missing);
    let nan = OrcaLoadReport { cpu_utilization: f64::NAN, ..message() };
    assert_eq!(parse_message(&nan.encode_to_vec(), NOW).unwrap_err().kind, NoReportKind::NotANumber);
}

#[test]
fn what_a_message_says_twice_does_not_count() {
    let bytes = |message: &OrcaLoadReport| message.encode_to_vec();
    let cpu = |share| bytes(&OrcaLoadReport { cpu_utilization: share, ..OrcaLoadReport::default() });
    let named = |value| {
        let named_metrics = [("a".to_owned(), value)].into();
        bytes(&OrcaLoadReport { named_metrics, ..OrcaLoadReport::default() })
    };
    for (twice, words) in [
        ([cpu(0.5), cpu(0.25)].concat(), "cpu_utilization is said twice"),
        ([named(1.0), named(2.0)].concat(), "\"named_metrics.a\" is said twice"),
    ] {
        let refusal = parse_message(&twice, NOW).unwrap_err();
        assert_eq!((refusal.kind, refusal.detail.as_str()), (NoReportKind::Duplicated, words));
    }
    assert_eq!(parse_message(&[cpu(0.5), named(1.0)].concat(), NOW).unwrap().utilization, Some(0.5));
}

fn assert_bounded(outcome: &Result<Report, NoReport>) {
    match outcome {
        Ok(report) => {
            assert!(report.utilization.is_none_or(|used| (0.0..=1.0).contains(&used)), "{report:?}");
            for rate in [report.rate, report.errors].into_iter().flatten() {
                assert!(rate.is_finite() && rate >= 0.0, "{report:?}");
            }
            assert!(report.weight.is_none() && report.admin.is_none() && report.operational.is_none());
        }
        Err(refusal) => assert!(!refusal.detail.is_empty() && refusal.detail.len() < 600, "{refusal:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_comes_in_is_within_bounds_or_refused(
        start in prop_oneof![Just("TEXT "), Just("JSON "), Just("BIN "), Just("")],
        pairs in prop::collection::vec((
            prop_oneof![
                Just("cpu_utilization".to_owned()), Just("application_utilization".to_owned()),
                Just("rps_fractional".to_owned()), Just("eps".to_owned()),
                Just("named_metrics.uptime_seconds".to_owned()),
                Just("named_metrics.process_start_time_seconds".to_owned()), ".{0,6}",
            ],
            any::<f64>().prop_map(|number| number.to_string()).boxed().prop_union("[-0-9.einf]{0,6}".boxed()),
        ), 0..5),
        garbage in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let text: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let json: Vec<String> = pairs.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        assert_bounded(&parse_value(format!("{start}{}", text.join(",")).as_bytes(), NOW));
        assert_bounded(&parse_value(format!("JSON {{{}}}", json.join(",")).as_bytes(), NOW));
        assert_bounded(&parse_value(&[start.as_bytes(), &garbage].concat(), NOW));
        assert_bounded(&parse_value(format!("BIN {}", STANDARD.encode(&garbage)).as_bytes(), NOW));
        assert_bounded(&parse_message(&garbage, NOW));
    }

    #[test]
    fn any_numbers_in_a_message(
        cpu in any::<f64>(), application in any::<f64>(), rate in any::<f64>(), eps in any::<f64>(),
        uptime in any::<f64>(), started in any::<f64>(),
    ) {
        let message = OrcaLoadReport {
            cpu_utilization: cpu,
            application_utilization: application,
            rps_fractional: rate,
            eps,
            named_metrics: [(UPTIME.to_owned(), uptime), (STARTED.to_owned(), started)].into(),
            ..OrcaLoadReport::default()
        };
        assert_bounded(&parse_message(&message.encode_to_vec(), NOW));
    }
}
