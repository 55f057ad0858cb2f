//! Tensor by tensor: what became of each.

use crate::{
    fault::{Fault, Result},
    ir::{DType, Dim, Fact, Source, Stored, Weight},
    session::{Inspection, Progress},
    tensor::{Encoding, Shape},
};

use super::{
    Options,
    matching::{Pair, Side, Sides, Why},
    measure::{Measured, measure},
    stream::{Stream, Turn},
};

/// What a tensor is to the other model's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// The same values in the same encoding.
    Equal,
    /// The same values in another encoding, nothing lost.
    Converted,
    /// The same values, but for what another encoding rounds.
    Rounded,
    /// The same name, shape and encoding; values were not read.
    Alike,
    /// Other values, or another shape.
    Changed,
    /// In the first model alone.
    OnlyA,
    /// In the second model alone.
    OnlyB,
    /// In one model alone, because of its form: no difference.
    OtherForm,
    /// It cannot be said which tensor of the other model it is.
    Unmatched,
    /// Its values cannot be read.
    Unread,
}

impl State {
    /// All, in the order in which they are counted for people.
    pub const ALL: &[Self] = &[
        Self::Equal,
        Self::Converted,
        Self::Rounded,
        Self::Alike,
        Self::Changed,
        Self::OnlyA,
        Self::OnlyB,
        Self::OtherForm,
        Self::Unmatched,
        Self::Unread,
    ];
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Converted => "converted",
            Self::Rounded => "rounded",
            Self::Alike => "alike",
            Self::Changed => "changed",
            Self::OnlyA => "only in a",
            Self::OnlyB => "only in b",
            Self::OtherForm => "of one form",
            Self::Unmatched => "unmatched",
            Self::Unread => "unread",
        }
    }
}

/// What is compared: a tensor, or the part of one (or of several) that is one weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// Names of the tensors, as the file has them.
    pub names: Vec<String>,
    /// Shape, of a part the part's.
    pub shape: Shape,
    /// Encodings of its tensors, each once.
    pub encodings: Vec<Encoding>,
}

/// One row of the comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The layer, where it is one's.
    pub layer: Option<u32>,
    /// What it is called in tables: "attn q".
    pub part: String,
    /// In the first model.
    pub a: Option<Placed>,
    /// In the second.
    pub b: Option<Placed>,
    /// What became of it.
    pub state: State,
    /// Another name in the same form.
    pub renamed: bool,
    /// Another shape of as many values.
    pub reshaped: bool,
    /// How far apart the values are, where they were read.
    pub measured: Option<Measured>,
    /// The two are stored transposed to each other, by formats that do so.
    pub transposed: bool,
    /// Why, where the state does not say it.
    pub note: Option<String>,
}

impl Row {
    /// True where it makes the models differ.
    pub fn differs(&self, allow_rounding: bool) -> bool {
        match self.state {
            State::Equal | State::Converted | State::Alike | State::OtherForm => self.renamed || self.reshaped,
            State::Rounded => !allow_rounding || self.renamed || self.reshaped,
            State::Changed | State::OnlyA | State::OnlyB | State::Unmatched | State::Unread => true,
        }
    }
}

/// Compares all tensors of two models.
///
/// # Errors
/// A source fails while values are read.
pub(super) async fn compare(
    sides: &Sides<'_>,
    options: &Options,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Row>> {
    let pairs = sides.pairs(!options.headers).await?;
    let total = pairs.iter().map(|pair| elements(sides, pair)).fold(0, u64::saturating_add);
    let mut done = 0u64;
    let mut progress = |n: u64| {
        done = done.saturating_add(n);
        on_progress(Progress { what: "Comparing values", done, total });
    };
    let mut rows = Vec::with_capacity(pairs.len());
    for pair in pairs {
        rows.push(match pair {
            Pair::Tensors { a, b, renamed } => tensors(sides, [a, b], renamed, options, &mut progress).await?,
            Pair::Units { a, b } => units(sides, [a, b], options, &mut progress).await?,
            Pair::Single { tensor, first, why } => single(if first { &sides.a } else { &sides.b }, tensor, first, why),
        });
    }
    Ok(rows)
}

/// Values of the first side of a pair.
fn elements(sides: &Sides<'_>, pair: &Pair) -> u64 {
    let of = |tensor: usize| sides.a.model().tensors.get(tensor).and_then(|t| t.shape.elements()).unwrap_or(0);
    match pair {
        Pair::Tensors { a, .. } => of(*a),
        Pair::Units { a, .. } => {
            let unit = sides.a.known.as_ref().ok().and_then(|k| k.units.get(*a));
            unit.and_then(|u| Shape(u.shape()).elements()).unwrap_or(0)
        }
        Pair::Single { .. } => 0,
    }
}

fn side_of(side: &Side<'_>, tensor: usize) -> Option<Placed> {
    let entry = side.model().tensors.get(tensor)?;
    Some(Placed { names: vec![entry.name.clone()], shape: entry.shape.clone(), encodings: vec![entry.encoding] })
}

fn single(side: &Side<'_>, tensor: usize, first: bool, why: Why) -> Row {
    let (layer, part) = side.place(tensor);
    let this = side_of(side, tensor);
    let (state, note) = match (why, tied_to(side, tensor)) {
        // A tied weight under its second name: the other model ties it too, or has the first name alone.
        (Why::Missing, Some(twin)) => (State::OtherForm, Some(format!("the same bytes as {twin}"))),
        (Why::Missing, None) => (if first { State::OnlyA } else { State::OnlyB }, None),
        (Why::OtherForm(why), _) => (State::OtherForm, Some(why.to_owned())),
        (Why::Unmatched(why), _) => (State::Unmatched, Some(why)),
    };
    let (a, b) = if first { (this, None) } else { (None, this) };
    Row { layer, part, a, b, state, renamed: false, reshaped: false, measured: None, transposed: false, note }
}

/// Another tensor of the same model that lies on the very same bytes.
fn tied_to<'a>(side: &'a Side<'_>, tensor: usize) -> Option<&'a str> {
    let all = &side.model().tensors;
    let place = &all.get(tensor)?.place;
    if !matches!(place, crate::model::Place::Here { at, .. } if at.start < at.end) {
        return None;
    }
    let twin = all.iter().enumerate().find(|(i, t)| *i != tensor && t.place == *place)?;
    Some(&twin.1.name)
}

async fn tensors(
    sides: &Sides<'_>,
    [a, b]: [usize; 2],
    renamed: bool,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Row> {
    let (layer, part) = sides.a.place(a);
    let (one, other) = (side_of(&sides.a, a), side_of(&sides.b, b));
    let mut row = Row {
        layer,
        part,
        a: one,
        b: other,
        state: State::Alike,
        renamed,
        reshaped: false,
        measured: None,
        transposed: false,
        note: None,
    };
    let (x, y) = (&sides.a.model().tensors[a], &sides.b.model().tensors[b]);
    if x.shape.elements() != y.shape.elements() {
        row.state = State::Changed;
        row.note = Some(format!("shape {} against {}", x.shape, y.shape));
        return Ok(row);
    }
    // Graphs and other libraries keep matrices the other way round.
    let turned = !sides.are_of_one_kind() && x.shape.0.len() == 2 && x.shape.0.iter().eq(y.shape.0.iter().rev());
    row.reshaped = x.shape != y.shape && !turned;
    row.transposed = x.shape != y.shape && turned;
    if options.headers {
        return Ok(alike(row));
    }
    if !row.transposed {
        let streams = Stream::flat(sides.a.inspection, a).and_then(|x| Ok((x, Stream::flat(sides.b.inspection, b)?)));
        let found = read(row.clone(), streams, options, progress).await?;
        if !turned || found.state != State::Changed {
            return Ok(found);
        }
    }
    let streams = matrix(sides.a.inspection, a, Stored::ByOutput)
        .and_then(|x| Ok((x, matrix(sides.b.inspection, b, Stored::ByInput)?)));
    // Of square ones the shape does not tell.
    let found = read(Row { transposed: true, ..row.clone() }, streams, options, progress).await?;
    let as_it_lies = found.state == State::Changed && !row.transposed;
    Ok(if as_it_lies { Row { transposed: false, ..found } } else { found })
}

/// A matrix by its rows, or by its columns.
fn matrix(inspection: &Inspection, tensor: usize, stored: Stored) -> Result<Stream<'_>> {
    let entry = inspection.model().tensors.get(tensor).ok_or_else(|| Fault::bug("no such tensor"))?;
    let wide = || Fault::limit(format!("{} has more rows or columns than 32 bits count", entry.name));
    let sizes: Vec<u32> =
        entry.shape.0.iter().map(|n| u32::try_from(*n)).collect::<Result<_, _>>().map_err(|_| wide())?;
    let (rows, row_len) = match (sizes.as_slice(), stored) {
        ([rows, row_len], Stored::ByOutput) => (*rows, *row_len),
        ([row_len, rows], _) => (*rows, *row_len),
        _ => return Err(Fault::bug("a matrix has two dimensions")),
    };
    let weight = Weight {
        name: entry.name.as_str().into(),
        fact: Fact::new(DType::Block(entry.encoding), [Dim::Fixed(rows), Dim::Fixed(row_len)]),
        sources: vec![Source { stored, ..Source::rows(tensor, 0, rows) }],
    };
    Stream::rows(inspection, &weight, Turn::default())
}

async fn units(sides: &Sides<'_>, [a, b]: [usize; 2], options: &Options, progress: &mut dyn FnMut(u64)) -> Result<Row> {
    let (Ok(of_a), Ok(of_b)) = (&sides.a.known, &sides.b.known) else {
        return Err(Fault::bug("weights are paired where both models are known"));
    };
    let (x, y) = (&of_a.units[a], &of_b.units[b]);
    let named = |side: &Side<'_>, unit: &super::units::Unit| {
        let entries = unit.tensors().into_iter().filter_map(|t| side.model().tensors.get(t)).collect::<Vec<_>>();
        let mut encodings: Vec<Encoding> = entries.iter().map(|t| t.encoding).collect();
        encodings.dedup();
        Placed { names: entries.iter().map(|t| t.name.clone()).collect(), shape: Shape(unit.shape()), encodings }
    };
    // The side that keeps what it is in one tensor alone names it best.
    let part = if y.place.of == x.place.of && y.tensors().len() < x.tensors().len() { y.part() } else { x.part() };
    let row = Row {
        layer: x.place.layer,
        part,
        a: Some(named(&sides.a, x)),
        b: Some(named(&sides.b, y)),
        state: State::Alike,
        renamed: false,
        reshaped: false,
        measured: None,
        transposed: false,
        note: None,
    };
    if x.shape() != y.shape() {
        let note = Some(format!("shape {} against {}", Shape(x.shape()), Shape(y.shape())));
        return Ok(Row { state: State::Changed, note, ..row });
    }
    if options.headers {
        return Ok(alike(row));
    }
    let turn = |known: &super::units::Known, unit, other| -> Turn { known.turn(unit, other) };
    let streams = Stream::rows(sides.a.inspection, &x.weight, turn(of_a, x, of_b))
        .and_then(|one| Ok((one, Stream::rows(sides.b.inspection, &y.weight, turn(of_b, y, of_a))?)));
    read(row, streams, options, progress).await
}

/// What the headers say alone.
fn alike(row: Row) -> Row {
    let same = matches!((&row.a, &row.b), (Some(a), Some(b)) if a.encodings == b.encodings);
    if same { row } else { Row { note: Some("another encoding; values were not read".into()), ..row } }
}

async fn read(
    row: Row,
    streams: Result<(Stream<'_>, Stream<'_>)>,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Row> {
    let (a, b) = match streams {
        Ok(streams) => streams,
        Err(fault) => return Ok(Row { state: State::Unread, note: Some(fault.what), ..row }),
    };
    if a.elements() != b.elements() {
        return Err(Fault::bug("streams of two lengths"));
    }
    let m = measure(&a, &b, options.values, progress).await?;
    let same_encoding = a.encodings() == b.encodings();
    let state = match (m.same, same_encoding, m.rounded) {
        (true, true, _) => State::Equal,
        (true, false, _) => State::Converted,
        (false, false, true) => State::Rounded,
        _ => State::Changed,
    };
    Ok(Row { state, measured: Some(m), ..row })
}
