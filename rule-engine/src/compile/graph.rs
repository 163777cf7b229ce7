//! The compiled form of conditions: what runs for each event.
//!
//! The conditions of all rules are nodes of one graph. Equal conditions share a node, whichever rules they come from,
//! and a node is evaluated at most once per event. Evaluation reads a [`Record`]'s slots and nothing else, always
//! terminates, and allocates only the new texts that functions compute.

use crate::condition::Condition;
use crate::record::{Record, Value};
use crate::schema::{FieldId, Schema};
use crate::value::FoldBuffer;
use crate::value::hash::HashMap;

mod computed;
mod explain;
mod scan;
mod scratch;
mod text;
mod value;
mod wildcards;
mod words;

use computed::ComputedMatcher;
use scan::FieldScan;
pub(crate) use scratch::Scratch;
use value::FieldMatcher;

/// A condition in its graph.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct NodeId(u32);

/// The compiled conditions of all rules.
#[derive(Debug, Default)]
pub(crate) struct ConditionGraph {
    nodes: Vec<Node>,
    /// For fields of which an event may have very many values.
    scans: Vec<FieldScan>,
}

#[derive(Debug)]
enum Node {
    Always,
    Never,
    All(Operands),
    Any(Operands),
    Not(NodeId),
    Field(FieldMatcher),
    Computed(ComputedMatcher),
}

#[derive(Debug)]
struct Operands {
    as_written: Box<[NodeId]>,
    /// The same, cheapest first.
    by_cost: Box<[NodeId]>,
}

/// Adds conditions to a graph.
#[derive(Default)]
pub(crate) struct GraphBuilder {
    nodes: Vec<Node>,
    /// The relative cost of each node.
    costs: Vec<u32>,
    known: HashMap<Condition, NodeId>,
}

impl ConditionGraph {
    pub(crate) fn scratch(&self) -> Scratch {
        Scratch::new(self.nodes.len())
    }

    /// For each node whether it tests values of a field that is told.
    pub(crate) fn tests_of(&self, is_told: &dyn Fn(FieldId) -> bool) -> Box<[bool]> {
        let tests =
            |node: &Node| matches!(node, Node::Field(matcher) if matcher.key.is_none() && is_told(matcher.field));
        self.nodes.iter().map(tests).collect()
    }

    /// Whether so many values of a field are looked at once for all tests, if at all.
    pub(crate) fn scans(&self, field: FieldId, values: usize) -> bool {
        scan::are_many(values) && self.scans.iter().any(|scan| scan.is_of(field))
    }
}

impl GraphBuilder {
    /// The node of the condition, shared with equal ones.
    pub(crate) fn add(&mut self, condition: &Condition) -> NodeId {
        if let Some(known) = self.known.get(condition) {
            return *known;
        }
        let (node, cost) = match condition {
            Condition::Always => (Node::Always, 0),
            Condition::Never => (Node::Never, 0),
            Condition::All(conditions) => {
                let (operands, cost) = self.operands(conditions);
                (Node::All(operands), cost)
            }
            Condition::Any(conditions) => {
                let (operands, cost) = self.operands(conditions);
                (Node::Any(operands), cost)
            }
            Condition::Not(condition) => {
                let operand = self.add(condition);
                (Node::Not(operand), self.cost(operand))
            }
            Condition::Field(condition) => {
                let matcher = FieldMatcher::compile(condition);
                let cost = matcher.cost();
                (Node::Field(matcher), cost)
            }
            Condition::Computed(condition) => (Node::Computed(ComputedMatcher::compile(condition)), 40),
        };
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(node);
        self.costs.push(cost);
        self.known.insert(condition.clone(), id);
        id
    }

    /// The node of a condition that is evaluated only for rules that the index found: what the index looked up nearly
    /// always holds by then, so it is evaluated last.
    pub(crate) fn add_indexed(&mut self, condition: &Condition) -> NodeId {
        let node = self.add(&condition.clone().flattened());
        let Node::All(operands) = &self.nodes[node.0 as usize] else {
            return node;
        };
        let is_indexed = |operand: &NodeId| matches!(&self.nodes[operand.0 as usize], Node::Field(field) if field.is_of_whole_values());
        let mut order = operands.by_cost.clone();
        order.sort_by_key(is_indexed);
        if let Node::All(operands) = &mut self.nodes[node.0 as usize] {
            operands.by_cost = order;
        }
        node
    }

    fn operands(&mut self, conditions: &[Condition]) -> (Operands, u32) {
        let as_written: Box<[NodeId]> = conditions.iter().map(|condition| self.add(condition)).collect();
        let mut by_cost = as_written.clone();
        by_cost.sort_by_key(|operand| self.cost(*operand));
        let cost = as_written
            .iter()
            .fold(0_u32, |sum, operand| sum.saturating_add(self.cost(*operand)));
        (Operands { as_written, by_cost }, cost)
    }

    fn cost(&self, node: NodeId) -> u32 {
        self.costs[node.0 as usize]
    }

    /// The graph, for events with fields of this schema.
    pub(crate) fn finish(self, schema: &Schema) -> ConditionGraph {
        let mut nodes = self.nodes;
        let known = self.known.iter().map(|(condition, node)| (condition, node.0 as usize));
        let scans = FieldScan::all(known, schema);
        for (number, scan) in scans.iter().enumerate() {
            for covered in scan.nodes() {
                if let Node::Field(matcher) = &mut nodes[*covered] {
                    matcher.scan = Some(number);
                }
            }
        }
        ConditionGraph { nodes, scans }
    }
}

/// One event under evaluation.
pub(crate) struct Evaluation<'a> {
    pub record: &'a Record,
    graph: &'a ConditionGraph,
    scratch: &'a Scratch,
}

impl<'a> Evaluation<'a> {
    /// Begins the evaluation of an event, of which nothing is known yet.
    pub(crate) fn new(record: &'a Record, graph: &'a ConditionGraph, scratch: &'a mut Scratch) -> Evaluation<'a> {
        scratch.begin_event();
        Evaluation { record, graph, scratch }
    }

    /// Where values of the event are folded.
    pub(crate) fn folded(&self) -> &'a FoldBuffer {
        &self.scratch.folded
    }

    /// Combinations of values beyond the limit, for which no function was computed.
    pub(crate) fn combinations_cut(&self) -> u64 {
        self.scratch.combinations_cut()
    }

    fn node(&self, node: NodeId) -> &'a Node {
        &self.graph.nodes[node.0 as usize]
    }
}

impl NodeId {
    pub(crate) fn matches(self, event: &Evaluation<'_>) -> bool {
        let known = &event.scratch.results[self.0 as usize];
        if known.get() >> 1 == event.scratch.event {
            return known.get() & 1 == 1;
        }
        let holds = match event.node(self) {
            Node::Always => true,
            Node::Never => false,
            Node::All(operands) => operands.by_cost.iter().all(|operand| operand.matches(event)),
            Node::Any(operands) => operands.by_cost.iter().any(|operand| operand.matches(event)),
            Node::Not(operand) => !operand.matches(event),
            Node::Field(matcher) => match matcher.scan {
                Some(scan) if scan::are_many(event.record.tested_count(matcher.field)) => {
                    let passes = |node: usize, value: Value<'_>| match &event.graph.nodes[node] {
                        Node::Field(matcher) => matcher.passes(value, &event.scratch.folded),
                        _ => false,
                    };
                    event.graph.scans[scan].run(event.record, event.scratch, &passes);
                    return known.get() & 1 == 1;
                }
                _ => matcher.matches(event.record, &event.scratch.folded),
            },
            Node::Computed(matcher) => matcher.matches(event.record, event.scratch),
        };
        known.set(event.scratch.event << 1 | u64::from(holds));
        holds
    }

    /// What the outcome is, if the values of the fields that some nodes test decide it; `is_told` says which nodes.
    pub(crate) fn told_by(self, event: &Evaluation<'_>, is_told: &[bool]) -> Option<bool> {
        let told = |operand: &NodeId| operand.told_by(event, is_told);
        match event.node(self) {
            Node::Always => Some(true),
            Node::Never => Some(false),
            Node::All(operands) => all(operands.by_cost.iter().map(told)),
            Node::Any(operands) => {
                all(operands.by_cost.iter().map(|operand| told(operand).map(|holds| !holds))).map(|none| !none)
            }
            Node::Not(operand) => told(operand).map(|holds| !holds),
            Node::Field(_) => is_told[self.0 as usize].then(|| self.matches(event)),
            Node::Computed(_) => None,
        }
    }
}

/// Whether all hold, as far as each is known.
fn all(outcomes: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for outcome in outcomes {
        match outcome {
            Some(false) => return Some(false),
            Some(true) => {}
            None => all = None,
        }
    }
    all
}

/// A condition compiled by itself, for tests of what it means.
#[cfg(test)]
pub(crate) struct CompiledCondition {
    graph: ConditionGraph,
    scratch: Scratch,
    node: NodeId,
}

#[cfg(test)]
impl CompiledCondition {
    pub(crate) fn compile(condition: &Condition) -> CompiledCondition {
        CompiledCondition::compile_for(condition, &Schema::ecs())
    }

    /// For events with fields of this schema.
    pub(crate) fn compile_for(condition: &Condition, schema: &Schema) -> CompiledCondition {
        let mut builder = GraphBuilder::default();
        let node = builder.add(condition);
        let graph = builder.finish(schema);
        CompiledCondition {
            scratch: graph.scratch(),
            graph,
            node,
        }
    }

    pub(crate) fn evaluate<T>(&mut self, record: &Record, evaluate: impl FnOnce(NodeId, &Evaluation<'_>) -> T) -> T {
        evaluate(self.node, &Evaluation::new(record, &self.graph, &mut self.scratch))
    }

    pub(crate) fn matches(&mut self, record: &Record) -> bool {
        self.evaluate(record, |node, event| node.matches(event))
    }
}

#[cfg(test)]
mod tests;
