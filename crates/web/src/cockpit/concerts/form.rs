//! The forms about a concert: their fields, how these are read, and what is wrong with each.

use crate::{
    cockpit::{
        desk::{opening_id, opening_name},
        shell::CockpitShell,
    },
    edge::form::{FieldFault, FormFields},
    html::{figures, forms::FormNotice},
};
use askama::Template;
use frontrow_domain::{
    line::OpeningOrder,
    money::Money,
    sale::{AgeRating, DESCRIPTION_LEN_MAX, DETAIL_LEN_MAX, Fold},
    text::{checked_paragraphs, checked_text},
    time::Time,
};
use frontrow_service::{drafts::NAME_LEN_MAX, local};
use jiff::civil;
use std::ops::RangeInclusive;

/// How many characters the name of a time zone may have.
const ZONE_LEN_MAX: usize = 64;

/// How a field is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StageInput {
    Text,
    Lines,
    Date,
    Clock,
    /// A date with an hour.
    Moment,
    Whole,
    Fold,
    Age,
    /// Where buyers wait, as radio buttons.
    Room,
    /// The order of the tokens that come before the opening.
    Opening,
}

/// Where the buyers of a concert shall wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoomWish {
    Own,
    House,
}

/// A field of the forms, with the ids of its texts.
#[derive(Debug)]
pub(super) struct StageSpec {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    hint: Option<&'static str>,
    input: StageInput,
    len_max: usize,
    is_needed: bool,
}

const fn spec(name: &'static str, label: &'static str, input: StageInput) -> StageSpec {
    StageSpec { name, label, hint: None, input, len_max: 20, is_needed: false }
}

impl StageSpec {
    const fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    const fn len(self, len_max: usize) -> Self {
        Self { len_max, ..self }
    }

    const fn needed(self) -> Self {
        Self { is_needed: true, ..self }
    }
}

pub(super) static TITLE: StageSpec = spec("title", "stage-title", StageInput::Text).len(NAME_LEN_MAX).needed();
pub(super) static ARTIST: StageSpec = spec("artist", "stage-artist", StageInput::Text).len(NAME_LEN_MAX).needed();
pub(super) static VENUE: StageSpec = spec("venue", "stage-venue", StageInput::Text).len(NAME_LEN_MAX).needed();
pub(super) static ZONE: StageSpec =
    spec("time_zone", "stage-zone", StageInput::Text).len(ZONE_LEN_MAX).needed().hint("stage-zone-hint");
pub(super) static DATE: StageSpec = spec("concert_date", "stage-date", StageInput::Date).needed();
pub(super) static START: StageSpec = spec("start_time", "stage-start-time", StageInput::Clock).needed();
pub(super) static END: StageSpec = spec("end_time", "stage-end", StageInput::Clock).needed().hint("stage-end-hint");
pub(super) static FOLD: StageSpec = spec("fold", "stage-fold", StageInput::Fold).hint("stage-fold-hint");
pub(super) static PRICE: StageSpec =
    spec("base_price", "stage-price", StageInput::Whole).needed().hint("stage-price-hint");
const OPENS_WORDS: StageSpec = spec("opens_at", "stage-opens", StageInput::Moment).hint("stage-opens-hint");
pub(super) static OPENS: StageSpec = OPENS_WORDS.needed();
/// The opening of a concert that has none yet.
pub(super) static OPENS_LATER: StageSpec = OPENS_WORDS;
pub(super) static CLOSES: StageSpec = spec("closes_at", "stage-closes", StageInput::Moment).hint("stage-closes-hint");
pub(super) static OWN_ROOM: StageSpec =
    spec("own_room_max_active", "stage-own-room", StageInput::Whole).hint("stage-own-room-hint");
pub(super) static ROOM: StageSpec = spec("room", "stage-room-choice", StageInput::Room).needed();
/// The places of a room that was chosen, or is there.
pub(super) static PLACES: StageSpec =
    spec("own_room_max_active", "stage-own-room", StageInput::Whole).hint("stage-room-places-hint");
pub(super) static RATE: StageSpec = spec("admit_per_minute", "stage-rate", StageInput::Whole).hint("stage-rate-hint");
pub(super) static OPENING: StageSpec =
    spec("opening", "desk-opening", StageInput::Opening).hint("stage-opening-order-hint");
pub(super) static DESCRIPTION: StageSpec =
    spec("description", "stage-description", StageInput::Lines).len(DESCRIPTION_LEN_MAX).hint("stage-description-hint");
pub(super) static AGE: StageSpec = spec("age_rating", "stage-age", StageInput::Age);
pub(super) static RUNNING: StageSpec = spec("running_minutes", "stage-running", StageInput::Whole);
pub(super) static DOORS: StageSpec = spec("doors_minutes", "stage-doors", StageInput::Whole);
pub(super) static ADDRESS: StageSpec = spec("address", "stage-address", StageInput::Text).len(DETAIL_LEN_MAX);
pub(super) static ORGANISER: StageSpec = spec("organiser", "stage-organiser", StageInput::Text).len(DETAIL_LEN_MAX);
pub(super) static CONTACT: StageSpec = spec("organiser_contact", "stage-contact", StageInput::Text).len(DETAIL_LEN_MAX);
pub(super) static STATUS_REASON: StageSpec =
    spec("status_reason", "stage-status-reason", StageInput::Lines).len(500).hint("stage-status-reason-hint");
pub(super) static REASON: StageSpec =
    spec("reason", "stage-reason", StageInput::Lines).len(500).hint("stage-reason-hint");
pub(super) static SECTION: StageSpec =
    spec("section", "stage-section", StageInput::Text).len(40).hint("stage-section-hint");
pub(super) static ROWS: StageSpec = spec("rows", "stage-rows", StageInput::Text).len(100).hint("stage-rows-hint");
pub(super) static NUMBERS: StageSpec =
    spec("numbers", "stage-numbers", StageInput::Text).len(100).needed().hint("stage-numbers-hint");
pub(super) static GRADE: StageSpec = spec("grade", "stage-grade", StageInput::Text).len(40).hint("stage-grade-hint");
pub(super) static SEAT_PRICE: StageSpec =
    spec("price", "stage-seat-price", StageInput::Whole).hint("stage-seat-price-hint");

/// A field as its form shows it.
#[derive(Debug)]
pub(super) struct StageField {
    pub(super) name: &'static str,
    label: String,
    hint: Option<String>,
    value: String,
    fault: Option<String>,
    input: StageInput,
    len_max: usize,
    is_needed: bool,
    /// The values of a choice with their words.
    options: Vec<(&'static str, String)>,
}

impl StageField {
    const fn input_type(&self) -> &'static str {
        match self.input {
            StageInput::Date => "date",
            StageInput::Clock => "time",
            StageInput::Moment => "datetime-local",
            _ => "text",
        }
    }

    const fn has_len(&self) -> bool {
        matches!(self.input, StageInput::Text | StageInput::Whole)
    }

    const fn is_whole(&self) -> bool {
        matches!(self.input, StageInput::Whole)
    }

    const fn is_lines(&self) -> bool {
        matches!(self.input, StageInput::Lines)
    }

    const fn is_radio(&self) -> bool {
        matches!(self.input, StageInput::Room)
    }

    const fn has_words(&self) -> bool {
        self.hint.is_some() || self.fault.is_some()
    }
}

/// Fields that belong together.
#[derive(Debug)]
pub(super) struct StageGroup {
    legend: String,
    fields: Vec<StageField>,
}

/// What is wrong with fields of a form.
pub(super) type StageFaults = Vec<(&'static str, String)>;

/// The fields of a group with what was typed, and what is wrong with it.
pub(super) fn group(
    shell: &CockpitShell,
    legend: String,
    specs: &[&StageSpec],
    value: impl Fn(&'static str) -> String,
    faults: &StageFaults,
) -> StageGroup {
    let field = |spec: &&StageSpec| StageField {
        name: spec.name,
        label: shell.t(spec.label),
        hint: spec.hint.map(|hint| shell.t(hint)),
        value: value(spec.name),
        fault: faults.iter().find(|(name, _)| *name == spec.name).map(|(_, why)| why.clone()),
        input: spec.input,
        len_max: spec.len_max,
        is_needed: spec.is_needed,
        options: options(shell, spec.input),
    };
    StageGroup { legend, fields: specs.iter().map(field).collect() }
}

fn options(shell: &CockpitShell, input: StageInput) -> Vec<(&'static str, String)> {
    match input {
        StageInput::Fold => vec![
            ("", shell.t("stage-fold-none")),
            ("0", shell.t("stage-fold-first")),
            ("1", shell.t("stage-fold-second")),
        ],
        StageInput::Room => {
            vec![("own", shell.t("stage-room-choice-own")), ("house", shell.t("stage-room-choice-house"))]
        }
        StageInput::Opening => [OpeningOrder::Draw, OpeningOrder::FirstCome]
            .map(|order| (opening_name(order), shell.t(opening_id(order))))
            .into(),
        StageInput::Age => {
            let rating = |code: &'static str| (code, shell.t1("stage-age-from", "age", code));
            let mut all = vec![("", shell.t("stage-age-none")), ("all", shell.t("stage-age-all"))];
            all.extend(["7", "12", "15", "19"].map(rating));
            all
        }
        _ => Vec::new(),
    }
}

/// A field that differs between the version that a form was filled in for and the present one.
#[derive(Debug)]
pub(super) struct StaleField {
    pub(super) label: String,
    /// As it stands now.
    pub(super) now: String,
    /// As the form has it.
    pub(super) typed: String,
}

/// A step of the first concert.
#[derive(Debug)]
pub(super) struct StageStep {
    pub(super) name: String,
    /// Its page; none while it cannot be opened.
    pub(super) path: Option<String>,
    pub(super) is_current: bool,
    pub(super) is_done: bool,
}

/// The field of a form with a picture.
#[derive(Debug)]
pub(super) struct StageFile {
    pub(super) name: &'static str,
    pub(super) label: String,
    /// The present picture, which can be removed; none if there is none.
    pub(super) present: Option<String>,
}

/// A page with a form about a concert.
#[derive(Template)]
#[template(path = "cockpit/concerts/form.html")]
pub(super) struct StagePage {
    pub(super) shell: CockpitShell,
    pub(super) title: String,
    /// The way back, and its words.
    pub(super) back: (String, String),
    pub(super) steps: Vec<StageStep>,
    /// What there is to know, a paragraph each.
    pub(super) lead: Vec<String>,
    /// What will happen, a sentence each, before a form is sent again.
    pub(super) effects: Vec<String>,
    pub(super) notice: Option<FormNotice>,
    pub(super) stale: Vec<StaleField>,
    pub(super) groups: Vec<StageGroup>,
    pub(super) hidden: Vec<(&'static str, String)>,
    pub(super) file: Option<StageFile>,
    pub(super) action: String,
    pub(super) button: String,
    /// Pages beside the form: path and words.
    pub(super) links: Vec<(String, String)>,
}

impl StagePage {
    /// The fields that are wrong: the id of each, and why.
    fn faults(&self) -> Vec<(&'static str, &str)> {
        let fields = self.groups.iter().flat_map(|group| &group.fields);
        fields.filter_map(|field| Some((field.name, field.fault.as_deref()?))).collect()
    }

    /// Marks a field as one that must be filled in.
    pub(super) fn need(&mut self, spec: &StageSpec) {
        let fields = self.groups.iter_mut().flat_map(|group| &mut group.fields);
        fields.filter(|field| field.name == spec.name).for_each(|field| field.is_needed = true);
    }

    pub(super) fn has_faults(&self) -> bool {
        !self.faults().is_empty()
    }
}

/// Reads the fields of a form, and notes what is wrong with each.
pub(super) struct StageReader<'a> {
    pub(super) shell: &'a CockpitShell,
    pub(super) typed: &'a FormFields,
    pub(super) faults: StageFaults,
}

impl<'a> StageReader<'a> {
    pub(super) const fn new(shell: &'a CockpitShell, typed: &'a FormFields) -> Self {
        Self { shell, typed, faults: Vec::new() }
    }

    pub(super) fn fault(&mut self, spec: &StageSpec, why: String) {
        if self.faults.iter().all(|(name, _)| *name != spec.name) {
            self.faults.push((spec.name, why));
        }
    }

    /// The text of a field without blanks around it; none if it is empty or cannot be read.
    pub(super) fn text(&mut self, spec: &StageSpec) -> Option<&'a str> {
        let label = || self.shell.t(spec.label);
        let why = match self.typed.text(spec.name) {
            Ok(text) if !text.trim().is_empty() => return Some(text.trim()),
            Ok(_) | Err(FieldFault::Missing) if !spec.is_needed => return None,
            Ok(_) | Err(FieldFault::Missing) => self.shell.t1("fault-missing", "field", label()),
            Err(FieldFault::Twice) => self.shell.t1("fault-twice", "field", label()),
            Err(FieldFault::NotUtf8) => self.shell.t1("fault-encoding", "field", label()),
        };
        self.fault(spec, why);
        None
    }

    fn parsed<T, E>(
        &mut self,
        spec: &StageSpec,
        parse: impl FnOnce(&str) -> Result<T, E>,
        why: impl FnOnce(&CockpitShell) -> String,
    ) -> Option<T> {
        let text = self.text(spec)?;
        let value = parse(text).ok();
        if value.is_none() {
            let why = why(self.shell);
            self.fault(spec, why);
        }
        value
    }

    /// A line, or lines, of text.
    pub(super) fn words(&mut self, spec: &StageSpec) -> Option<String> {
        let len = i64::try_from(spec.len_max).unwrap_or(i64::MAX);
        let parse = |text: &str| match spec.input {
            StageInput::Lines if spec.len_max == DESCRIPTION_LEN_MAX => {
                checked_paragraphs(spec.name, text, spec.len_max)
            }
            // A reason is one paragraph.
            StageInput::Lines => checked_text(spec.name, &text.replace('\n', " "), spec.len_max),
            _ => checked_text(spec.name, text, spec.len_max),
        };
        self.parsed(spec, parse, |shell| shell.t1("stage-fault-text", "max", len))
    }

    pub(super) fn whole(&mut self, spec: &StageSpec, bounds: RangeInclusive<i64>) -> Option<i64> {
        let (min, max) = (*bounds.start(), *bounds.end());
        let parse = |text: &str| {
            let digits: String = text.chars().filter(|c| *c != ',').collect();
            digits.parse::<i64>().ok().filter(|number| bounds.contains(number)).ok_or(())
        };
        self.parsed(spec, parse, |shell| {
            shell.t2("stage-fault-whole", "min", figures::grouped(min), "max", figures::grouped(max))
        })
    }

    pub(super) fn money(&mut self, spec: &StageSpec) -> Option<Money> {
        self.whole(spec, 0..=Money::MAX.get()).map(Money::new)
    }

    pub(super) fn date(&mut self, spec: &StageSpec) -> Option<civil::Date> {
        self.parsed(spec, local::date, |shell| shell.t("stage-fault-date"))
    }

    pub(super) fn clock(&mut self, spec: &StageSpec) -> Option<civil::Time> {
        self.parsed(spec, local::time, |shell| shell.t("stage-fault-clock"))
    }

    pub(super) fn moment(&mut self, spec: &StageSpec) -> Option<civil::DateTime> {
        let parse = |text: &str| {
            let (date, time) = text.split_once(['T', ' ']).ok_or("no hour")?;
            Ok::<_, &str>(local::date(date)?.to_datetime(local::time(time)?))
        };
        self.parsed(spec, parse, |shell| shell.t("stage-fault-moment"))
    }

    pub(super) fn fold(&mut self) -> Option<Fold> {
        let parse = |text: &str| match text {
            "0" => Ok(Fold::First),
            "1" => Ok(Fold::Second),
            _ => Err(()),
        };
        self.parsed(&FOLD, parse, |shell| shell.t("stage-fault-choice"))
    }

    pub(super) fn room(&mut self) -> Option<RoomWish> {
        let parse = |text: &str| match text {
            "own" => Ok(RoomWish::Own),
            "house" => Ok(RoomWish::House),
            _ => Err(()),
        };
        self.parsed(&ROOM, parse, |shell| shell.t("stage-fault-choice"))
    }

    pub(super) fn opening(&mut self) -> Option<OpeningOrder> {
        let parse = |text: &str| serde_json::from_value::<OpeningOrder>(text.into());
        self.parsed(&OPENING, parse, |shell| shell.t("stage-fault-choice"))
    }

    pub(super) fn age(&mut self) -> Option<AgeRating> {
        let parse = |text: &str| serde_json::from_value::<AgeRating>(text.into());
        self.parsed(&AGE, parse, |shell| shell.t("stage-fault-choice"))
    }
}

/// A moment as a field of a date with an hour has it, by the clock of the venue.
pub(super) fn moment_field(at: Time, zone: &str) -> String {
    let local = figures::local(at, zone).datetime();
    // Browsers show seconds only if there are some.
    let form = if local.second() == 0 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" };
    local.strftime(form).to_string()
}
