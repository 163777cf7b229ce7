use super::*;

#[test]
fn questions_beyond_the_limit_are_refused_and_counted() {
    let socket = EngineSocket {
        runtime: Runtime::Docker,
        path: "/nowhere".into(),
    };
    let (requests, _unread) = mpsc::channel(REQUESTS_AT_MOST);
    let link = Link {
        engine: Arc::new(Engine::new(socket, Duration::from_secs(600))),
        requests,
    };
    for number in 0..REQUESTS_AT_MOST {
        assert_eq!(link.get(&number.to_string()), Lookup::Pending(None));
    }
    let refused = Lookup::Failed(LookupFailure::TooManyQuestions, None);
    assert_eq!(link.get("one more"), refused);
    assert_eq!(link.wait("one more", Duration::from_secs(600)), refused);
    assert_eq!(link.engine.status().counters.refused_questions, 1);
}
