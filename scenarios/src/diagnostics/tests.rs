use super::*;

fn span(start: usize, end: usize) -> Span {
    Span { source: SourceId(0), start, end }
}

#[test]
fn a_diagnostic_shows_its_line_and_its_column_in_characters() {
    let mut sources = Sources::default();
    sources.add("a.ron", "(\n  é: 1,\n\tcpu: 99,\n)");
    let mut diags = Diagnostics::new(sources);
    diags.error(span(17, 19), "no such CPU", Some("possible: 0 to 3".to_owned()));
    diags.warn(span(4, 6), "odd name", None);
    diags.warn(span(4, 6), "odd name", None);
    diags.sort();
    let expect = "\
warning: odd name
 --> a.ron:2:3
  |
2 |   é: 1,
  |   ^

error: no such CPU
 --> a.ron:3:7
  |
3 |  cpu: 99,
  |       ^^
  = help: possible: 0 to 3

1 error
";
    assert_eq!(diags.to_string(), expect);
}

#[test]
fn spans_outside_a_text_are_harmless() {
    let mut sources = Sources::default();
    let id = sources.add("a.ron", "ab\n");
    let past = Span { source: id, start: 90, end: 95 };
    assert_eq!(sources.locate(past).map(|place| (place.line, place.column)), Some((2, 1)));
    assert_eq!(sources.locate(Span { source: SourceId(7), ..past }), None);
    assert_eq!(sources.slice(past), "");
}

#[test]
fn suggestions_are_close_or_complete() {
    let names = ["firmware_latency", "irq_cpu", "msi"];
    assert_eq!(closest("firmwar_latency", names), Some("firmware_latency"));
    assert_eq!(closest("irqCpu", names), Some("irq_cpu"));
    assert_eq!(closest("imsi", names), Some("msi"));
    assert_eq!(closest("coalescing", names), None);
    assert_eq!(suggest("coalescing", ["a", "b"]), Some("possible: `a`, `b`".to_owned()));
    assert_eq!(suggest("x", []), None);
}
