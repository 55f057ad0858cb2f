//! `glassbox serve` as its clients meet it.

#[path = "serve/client.rs"]
mod client;

use std::{io::Write, thread};

use serde_json::{Value, json};

use super::{json as report, path, sample};
use client::{Server, read, until_line, with_template};

/// A story for each turn: the model goes on from where the message ends.
const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}";
const ONCE: &str = "Once upon a time";

fn model() -> String {
    path(&sample("gguf/sample-q8_0.gguf")).to_owned()
}

fn start(args: &[&str]) -> Server {
    Server::start(&[&model()], args)
}

/// What `glassbox run` writes.
fn alone(args: &[&str]) -> Value {
    let file = model();
    let mut all = vec![
        "run", &file, "-p", ONCE, "--device", "cpu", "--exact", "--json", "--top-p", "1", "--min-p", "0", "--top-k",
        "0",
    ];
    all.extend(args);
    report(&all)
}

fn text(answer: &Value) -> &str {
    answer["choices"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn a_completion_is_what_run_writes_whole_and_in_events_and_among_others() {
    let server = start(&[]);
    let want = alone(&["-n", "24"]);
    let asked = json!({ "prompt": ONCE, "max_tokens": 24, "temperature": 0 });
    let whole = server.post("/v1/completions", &asked).json();
    assert_eq!(text(&whole), want["text"].as_str().expect("a text"));
    assert_eq!((&whole["object"], &whole["model"]), (&json!("text_completion"), &json!("sample-q8_0")));
    assert_eq!(whole["choices"][0]["finish_reason"], "length");
    let prompt = want["prompt_ids"].as_array().expect("ids").len();
    assert_eq!((&whole["usage"]["prompt_tokens"], &whole["usage"]["completion_tokens"]), (&json!(prompt), &json!(24)));
    let mut streamed = asked.clone();
    streamed["stream"] = true.into();
    streamed["stream_options"] = json!({ "include_usage": true });
    let events = server.post("/v1/completions", &streamed).events();
    let told: String = events.iter().filter_map(|e| e["choices"][0]["text"].as_str()).collect();
    assert_eq!(told, text(&whole));
    assert!(events.len() > 10, "it comes in pieces: {}", events.len());
    assert_eq!(
        events.last().map(|e| (&e["choices"], &e["usage"]["completion_tokens"])),
        Some((&json!([]), &json!(24)))
    );
    // Sixteen at once, more than run at once; each with its seed.
    let drawn = alone(&["-n", "16", "--temp", "0.9", "--seed", "7"]);
    let ask = |i: u64| {
        let asked = match i.is_multiple_of(2) {
            true => json!({ "prompt": ONCE, "max_tokens": 24, "temperature": 0 }),
            false => json!({ "prompt": want["prompt_ids"], "max_tokens": 16, "temperature": 0.9, "seed": 7 }),
        };
        server.post("/v1/completions", &asked).json()
    };
    thread::scope(|scope| {
        let ask = &ask;
        let all: Vec<_> = (0..16).map(|i| scope.spawn(move || (i, ask(i)))).collect();
        for one in all {
            let (i, got) = one.join().expect("an answer");
            let want = if i.is_multiple_of(2) { &want } else { &drawn };
            assert_eq!(text(&got), want["text"].as_str().expect("a text"), "request {i}");
        }
    });
    assert!(server.metric("glassbox_kept_tokens_total") > 0, "prompts that begin alike are read once");
}

#[test]
fn a_conversation_is_written_by_the_models_template_and_answered() {
    let folder = with_template(&sample("hf"), TEMPLATE);
    let named = format!("small={}", path(folder.path()));
    let server = Server::start(&[&named], &[]);
    let want =
        report(&["run", path(folder.path()), "--chat", ONCE, "-n", "20", "--device", "cpu", "--exact", "--json"]);
    let want = want["text"].as_str().expect("a text");
    let messages = json!([{ "role": "user", "content": [{ "type": "text", "text": ONCE }] }]);
    let asked = json!({ "model": "small", "messages": messages, "max_completion_tokens": 20, "temperature": 0 });
    let whole = server.post("/v1/chat/completions", &asked).json();
    assert_eq!(whole["choices"][0]["message"], json!({ "role": "assistant", "content": want }));
    assert_eq!(whole["object"], "chat.completion");
    let mut streamed = asked.clone();
    streamed["stream"] = true.into();
    let events = server.post("/v1/chat/completions", &streamed).events();
    let delta = |e: &Value| e["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
    assert_eq!(events.iter().filter_map(delta).collect::<String>(), want);
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(events.last().map(|e| &e["choices"][0]["finish_reason"]), Some(&json!("length")));
    // Three answers, the first of which is what its seed gives alone.
    let mut three = asked.clone();
    (three["n"], three["temperature"], three["seed"]) = (3.into(), 1.into(), 5.into());
    let several = server.post("/v1/chat/completions", &three).json();
    assert_eq!(several["choices"].as_array().map(Vec::len), Some(3));
    (three["n"], three["seed"]) = (1.into(), 6.into());
    let second = server.post("/v1/chat/completions", &three).json();
    assert_eq!(several["choices"][1]["message"], second["choices"][0]["message"]);
    let models = server.get("/v1/models").json();
    assert_eq!((&models["object"], &models["data"][0]["id"]), (&json!("list"), &json!("small")));
    assert_eq!(server.get("/v1/models/small").json()["id"], "small");
}

#[test]
fn stops_biases_and_probabilities_are_heeded() {
    let server = start(&[]);
    let free = json!({ "prompt": ONCE, "max_tokens": 20, "temperature": 0 });
    let with = |more: Value| {
        let mut asked = free.clone();
        asked.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        server.post("/v1/completions", &asked).json()
    };
    let plain = with(json!({}));
    let stop = text(&plain)[5..9].to_owned();
    let ended = with(json!({ "stop": ["nowhere", stop] }));
    assert_eq!(text(&ended), &text(&plain)[..text(&plain).find(&stop).expect("it is there")]);
    assert_eq!(ended["choices"][0]["finish_reason"], "stop");
    let told = with(json!({ "logprobs": 3 }));
    let logprobs = &told["choices"][0]["logprobs"];
    assert_eq!(logprobs["tokens"].as_array().map(Vec::len), Some(20));
    assert!(logprobs["token_logprobs"].as_array().is_some_and(|all| all.iter().all(|p| p.as_f64() <= Some(0.0))));
    assert!(
        logprobs["top_logprobs"]
            .as_array()
            .is_some_and(|all| all.iter().all(|t| t.as_object().is_some_and(|t| t.len() <= 3)))
    );
    assert_eq!(
        logprobs["tokens"].as_array().expect("tokens").iter().filter_map(Value::as_str).collect::<String>(),
        text(&plain)
    );
    let penalised = with(json!({ "frequency_penalty": 2 }));
    assert_eq!(text(&penalised), alone(&["-n", "20", "--frequency-penalty", "2"])["text"].as_str().expect("a text"));
    let first = alone(&["-n", "1"])["ids"][0].as_u64().expect("an id");
    let biased = with(json!({ "logit_bias": { first.to_string(): -100 } }));
    assert_eq!(
        text(&biased),
        alone(&["-n", "20", "--logit-bias", &format!("{first}=-100")])["text"].as_str().expect("a text")
    );
}

#[test]
fn what_is_wrong_is_told_in_openais_form_and_with_numbers() {
    let server = start(&["--max-body", "6000000", "--context", "128"]);
    let complete = |body: Value| server.post("/v1/completions", &body);
    let million = "a ".repeat(1_000_000);
    let error = complete(json!({ "prompt": million })).refusal(400);
    assert_eq!((&error["code"], &error["param"]), (&json!("context_length_exceeded"), &json!("prompt")));
    let message = error["message"].as_str().expect("words");
    assert!(message.contains("holds 128") && message.contains("000"), "{message}");
    let large = complete(json!({ "prompt": "a".repeat(6_000_000) })).refusal(413);
    assert!(large["message"].as_str().is_some_and(|m| m.contains("at most 6000000")), "{large}");
    for (body, param, part) in [
        (json!({ "prompt": "a", "temperature": -1 }), "temperature", "0 to 100"),
        (json!({ "prompt": "a", "n": 0 }), "n", "1 to 128"),
        (json!({ "prompt": "a", "logit_bias": { "x": 1 } }), "logit_bias", "no token id"),
        (json!({ "prompt": [] }), "prompt", "no tokens"),
        (json!({ "prompt": "", "max_tokens": 1, "logprobs": 21 }), "logprobs", "0 to 20"),
    ] {
        let error = complete(body).refusal(400);
        assert_eq!(error["param"], param, "{error}");
        assert!(error["message"].as_str().is_some_and(|m| m.contains(part)), "{error}");
    }
    assert!(
        complete(json!({ "prompt": [99999] })).refusal(400)["message"]
            .as_str()
            .is_some_and(|m| m.contains("token 99999"))
    );
    assert_eq!(complete(json!({ "prompt": "a", "model": "gpt-4o" })).refusal(404)["code"], "model_not_found");
    assert_eq!(complete(json!({ "prompt": "a", "echo": true })).refusal(501)["param"], "echo");
    let chat = server.post("/v1/chat/completions", &json!({ "messages": [{ "role": "user", "content": "a" }] }));
    assert!(chat.refusal(501)["message"].as_str().is_some_and(|m| m.contains("no chat template")), "{}", chat.body);
    for body in ["", "{", "[]", "{\"prompt\": 1}", "\u{feff}{}", &"[".repeat(100_000)] {
        server.raw(&server.request("/v1/completions", body, "")).refusal(400);
    }
    assert_eq!(server.get("/v1/nothing").refusal(404)["code"], "unknown_url");
    assert_eq!(server.get("/../../etc/passwd").status, 404);
    server.get("/v1/completions").refusal(405);
    let plain = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}";
    server.raw(plain).refusal(415);
    let stranger = "GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(server.raw(stranger).refusal(403)["code"], "unknown_host");
    assert_eq!(server.get("/health").json()["status"], "ok");
}

#[test]
fn keys_are_asked_for_and_other_origins_are_let_in_only_where_told() {
    let named = [("GLASSBOX_SERVE_API_KEY", "s3cret")];
    let server = Server::start_with(&[&model()], &["--cors-origin", "https://app.example"], &named);
    assert_eq!(server.get("/v1/models").refusal(401)["code"], "invalid_api_key");
    assert_eq!(server.get("/health").status, 200);
    let with = |header: &str| {
        server.raw(&format!(
            "GET /v1/models HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{header}\r\n\r\n",
            server.address
        ))
    };
    assert_eq!(with("Authorization: Bearer s3cre").status, 401);
    assert_eq!(with("Authorization: Bearer s3cret").status, 200);
    assert_eq!(with("X-API-Key: s3cret").status, 200);
    let asks = |server: &Server, origin: &str| {
        server.raw(&format!(
            "OPTIONS /v1/completions HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n",
            server.address
        ))
    };
    assert!(
        asks(&server, "https://app.example")
            .head
            .to_lowercase()
            .contains("access-control-allow-origin: https://app.example")
    );
    assert!(!asks(&server, "https://evil.example").head.to_lowercase().contains("allow-origin"));
    let closed = start(&[]);
    assert!(!asks(&closed, "https://app.example").head.to_lowercase().contains("access-control"));
}

#[test]
fn a_client_that_leaves_frees_its_place_and_a_full_queue_says_when_to_come_again() {
    let server = start(&["--sequences", "1", "--queue", "1"]);
    let long = json!({ "prompt": ONCE, "max_tokens": 240, "stream": true, "ignore_eos": true }).to_string();
    let begin = || {
        let mut stream = server.connect();
        stream.write_all(server.request("/v1/completions", &long, "").as_bytes()).expect("sent");
        stream
    };
    let first = begin();
    until_line(&first, |line| line.starts_with("data: "));
    let second = begin();
    server.until("glassbox_requests_waiting", |n| n == 1);
    let refused = server.post("/v1/completions", &json!({ "prompt": "a", "max_tokens": 1 }));
    assert_eq!(refused.refusal(503)["code"], "overloaded");
    assert!(refused.head.to_lowercase().contains("retry-after: "), "{}", refused.head);
    let many = server.post("/v1/completions", &json!({ "prompt": "a", "n": 3 })).refusal(400);
    assert_eq!(many["param"], "n");
    // The one that waits leaves, then the one that runs.
    drop(second);
    drop(first);
    server.until("glassbox_requests_abandoned_total", |n| n == 2);
    let answered = server.post("/v1/completions", &json!({ "prompt": ONCE, "max_tokens": 4, "temperature": 0 }));
    assert_eq!(text(&answered.json()), alone(&["-n", "4"])["text"].as_str().expect("a text"));
}

#[cfg(unix)]
#[test]
fn told_to_end_it_finishes_what_runs_and_begins_nothing_new() {
    let server = start(&[]);
    let asked = json!({ "prompt": ONCE, "max_tokens": 240, "stream": true, "ignore_eos": true }).to_string();
    let mut stream = server.connect();
    stream.write_all(server.request("/v1/completions", &asked, "").as_bytes()).expect("sent");
    let reader = stream.try_clone().expect("a second handle");
    until_line(&reader, |line| line.starts_with("data: "));
    server.tell_to_end();
    let mut rest = String::new();
    let mut lines = std::io::BufReader::new(stream);
    std::io::Read::read_to_string(&mut lines, &mut rest).expect("the rest");
    assert!(rest.contains("\"finish_reason\":\"length\"") && rest.contains("[DONE]"), "{rest}");
    let (code, log) = server.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("no new requests are taken"), "{log}");
}

#[cfg(unix)]
#[test]
fn after_the_time_of_grace_answers_are_cut_with_an_error() {
    let server = start(&["--grace", "0"]);
    let asked = json!({ "prompt": ONCE, "max_tokens": 240, "stream": true, "ignore_eos": true }).to_string();
    let mut stream = server.connect();
    stream.write_all(server.request("/v1/completions", &asked, "").as_bytes()).expect("sent");
    let again = stream.try_clone().expect("a second handle");
    until_line(&again, |line| line.starts_with("data: "));
    server.tell_to_end();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stream, &mut rest).expect("the rest");
    assert!(rest.contains("about to end"), "{rest}");
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_client_that_sends_half_a_request_is_let_go_and_holds_up_no_one() {
    let server = start(&["--read-timeout", "1"]);
    let mut head = server.connect();
    head.write_all(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n").expect("sent");
    let mut body = server.connect();
    body.write_all(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        .expect("sent");
    assert_eq!(server.post("/v1/completions", &json!({ "prompt": "a", "max_tokens": 1 })).status, 200);
    assert_eq!(read(body).status, 408);
    let mut nothing = Vec::new();
    let _ = std::io::Read::read_to_end(&mut head, &mut nothing);
    assert!(!String::from_utf8_lossy(&nothing).contains("200 OK"));
}

#[test]
fn settings_come_from_flags_before_the_environment_and_from_that_before_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("serve.toml");
    let written =
        format!("models = [\"own={}\"]\nsequences = 2\ncontext = 64\nqueue = 5\n", model().replace('\\', "/"));
    std::fs::write(&file, written).expect("written");
    let server =
        Server::start_with(&[], &["--config", path(&file), "--context", "96"], &[("GLASSBOX_SERVE_SEQUENCES", "3")]);
    let told = server.get("/v1/models").json();
    assert_eq!((&told["data"][0]["id"], &told["data"][0]["max_model_len"]), (&json!("own"), &json!(96)));
    assert_eq!(server.metric("glassbox_sequences"), 3);
    std::fs::write(&file, "modles = []\n").expect("written");
    let wrong = super::glassbox(&["serve", "--config", path(&file)]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("modles"), "{wrong:?}");
}
