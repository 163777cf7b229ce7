//! `cidrMatch(address, network, ..)`: whether an address is in one of the networks.

use super::{Arguments, Computed, FunctionDefinition, Kind};
use crate::condition::test::Test;
use crate::value::{Address, Network};

pub(super) const CIDR_MATCH: FunctionDefinition = FunctionDefinition {
    name: "cidrMatch",
    required: &[Kind::Text, Kind::Network],
    further: Some(Kind::Network),
    result: Kind::Boolean,
    compute,
    as_test: Some(|networks, _| {
        Some(Test::Within(
            networks.iter().filter_map(|text| Network::parse(text)).collect(),
        ))
    }),
    ..FunctionDefinition::NONE
};

fn compute<'a>(arguments: &Arguments<'_, 'a>) -> Option<Computed<'a>> {
    let address = Address::parse(arguments.text(0)?);
    let mut networks = arguments.values.iter().skip(1).filter_map(Computed::as_text);
    Some(Computed::Boolean(networks.any(|text| {
        let network = Network::parse(text);
        network
            .zip(address)
            .is_some_and(|(network, address)| network.contains(address))
    })))
}
