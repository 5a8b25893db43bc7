//! What a chart relies on, over a log in memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::json;
use tidewire_log::{EventLog, MemoryLog};
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{NewEvent, StreamName};
use tokio::runtime::Handle;

use super::*;

const START: i64 = 1_760_000_000_000;

struct Fixture {
    log: Arc<dyn EventLog>,
    projections: ProjectionService,
    history: History,
}

fn fixture() -> Fixture {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    let projections = ProjectionService::new(Arc::clone(&log), Handle::current());
    let history = History::keep(&projections, Keeping { seconds: 0, minutes: 0, hours: 0, days: 0 });
    Fixture { log, projections, history }
}

impl Fixture {
    async fn put(&self, readings: impl IntoIterator<Item = (i64, serde_json::Value)>) {
        let requests: Vec<AppendRequest> = readings
            .into_iter()
            .map(|(time, data)| {
                let mut event = NewEvent::json("reading-reported", &data);
                event.time = Some(time);
                AppendRequest::one(StreamName::new("thing-boiler").unwrap(), event)
            })
            .collect();
        for batch in requests.chunks(5_000) {
            self.log.append(batch.to_vec()).await.unwrap();
        }
        self.projections.wait_for(NAME, self.log.head()).await.unwrap();
    }

    async fn read(&self, property: &str, from: i64, to: i64, step: i64) -> Range {
        let asked = Asked { from, to, step: Some(step), points: 300 };
        self.history.read("boiler", property, asked, to).await.unwrap()
    }
}

#[tokio::test]
async fn buckets_equal_a_recount_at_every_resolution_also_of_late_readings() {
    let fixture = fixture();
    let value = |n: i64| ((n * 7_919) % 1_000) as f64 / 10.0;
    // Ten-second readings of eight hours, the second half first.
    let order = (1_440..2_880).chain(0..1_440);
    fixture.put(order.map(|n| (START + n * 10_000, json!({"t": value(n)})))).await;
    for (step, resolution) in [
        (1, Resolution::Second),
        (10, Resolution::Second),
        (60, Resolution::Minute),
        (600, Resolution::Minute),
        (3_600, Resolution::Hour),
    ] {
        // One answer holds 10,000 buckets at most.
        let readings = if step == 1 { 720 } else { 2_880 };
        let range = fixture.read("t", START, START + readings * 10_000, step).await;
        assert_eq!((range.step, range.resolution), (step, resolution));
        let mut expected: std::collections::BTreeMap<i64, Vec<f64>> = std::collections::BTreeMap::new();
        for n in 0..readings {
            let time = (START + n * 10_000).div_euclid(step * 1_000) * step * 1_000;
            expected.entry(time).or_default().push(value(n));
        }
        assert_eq!(range.buckets.len(), expected.len(), "{step}");
        for (bucket, (time, values)) in range.buckets.iter().zip(expected) {
            let sum: f64 = values.iter().sum();
            assert_eq!((bucket.time, bucket.count), (time, values.len() as u64));
            assert_eq!(bucket.min, values.iter().copied().fold(f64::INFINITY, f64::min));
            assert_eq!(bucket.max, values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            assert_eq!(bucket.last, values[values.len() - 1]);
            assert!((bucket.sum - sum).abs() < 1e-6);
        }
    }
}

#[tokio::test]
async fn every_number_has_a_history_under_its_dotted_name() {
    let fixture = fixture();
    let nested = json!({"battery": {"percent": 97, "low": false}, "name": "boiler", "list": [1], "t": 21.5});
    let usual = json!({"property": "pressure", "value": 1.2, "unit": "bar"});
    fixture.put([(START, nested), (START + 1, usual), (START + 2, json!(7))]).await;
    let properties = fixture.history.properties("boiler").await.unwrap();
    assert_eq!(properties, ["battery.low", "battery.percent", "pressure", "t", "value"]);
    let range = fixture.read("battery.percent", START, START + 1_000, 1).await;
    assert_eq!((range.buckets[0].last, range.buckets[0].count), (97.0, 1));
}

#[tokio::test]
async fn a_device_that_makes_up_names_does_not_fill_the_disk() {
    let fixture = fixture();
    fixture.put((0..500).map(|n| (START, json!({format!("p{n:03}"): n, "t": n})))).await;
    assert_eq!(fixture.history.properties("boiler").await.unwrap().len(), PROPERTIES_MAX);
    let range = fixture.read("t", START, START + 1_000, 1).await;
    assert_eq!(range.buckets[0].count, 500, "known properties go on");
    assert_eq!(fixture.projections.status(NAME).unwrap().unwrap().parked, 0);
}

#[test]
fn what_is_too_old_goes_by_resolution() {
    let reducer = Downsample { keeping: Keeping { seconds: 1, minutes: 30, hours: 0, days: 0 } };
    let now = START + 10 * 86_400_000;
    let expired =
        |resolution, days: i64| reducer.is_expired(&chunk_key("a\nb", "t", resolution, now - days * 86_400_000), now);
    assert!(expired(Resolution::Second, 2) && !expired(Resolution::Second, 0));
    assert!(expired(Resolution::Minute, 31) && !expired(Resolution::Minute, 29));
    assert!(!expired(Resolution::Hour, 9_000) && !expired(Resolution::Day, 9_000));
    assert!(!reducer.is_expired(&names_key("boiler"), now));
}

#[test]
fn settings_name_four_numbers_of_days() {
    assert_eq!(Keeping::parse("7, 90,1825,0"), Some(Keeping::default()));
    assert_eq!(Keeping::parse(&Keeping::default().to_string()), Some(Keeping::default()));
    assert!(Keeping::parse("7,90").is_none() && Keeping::parse("a,b,c,d").is_none());
}
