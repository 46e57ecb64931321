//! The colours of grades: the same on the pages of a concert and of its hall.

use frontrow_service::sale::SeatingOrder;

/// The classes of the grades' colours: of grades with these names, and in this order of the others.
const STYLES: [&str; 5] = ["vip", "r", "s", "a", "b"];

/// The class of the colour of each grade of a hall.
pub(crate) fn styles_of(order: &SeatingOrder) -> Vec<&'static str> {
    let names: Vec<_> = order.grades.iter().map(|grade| grade.name.as_str()).collect();
    styles(&names)
}

/// The class of each grade's colour, by the grades' names: none is used twice before all are used once.
pub(crate) fn styles(names: &[&str]) -> Vec<&'static str> {
    let own = |name: &str| STYLES.into_iter().find(|style| name.eq_ignore_ascii_case(style));
    let taken: Vec<_> = names.iter().filter_map(|name| own(name)).collect();
    let mut others = STYLES.into_iter().filter(|style| !taken.contains(style)).chain(STYLES.into_iter().cycle());
    names.iter().map(|name| own(name).or_else(|| others.next()).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades_of_known_names_have_their_colours_and_others_the_rest() {
        assert_eq!(styles(&["VIP", "R", "S"]), ["vip", "r", "s"]);
        assert_eq!(styles(&["r"]), ["r"]);
        assert_eq!(styles(&["Royal", "VIP", "Stalls"]), ["r", "vip", "s"]);
        assert_eq!(styles(&["1", "2", "3", "4", "5", "6"]), ["vip", "r", "s", "a", "b", "vip"]);
    }
}
