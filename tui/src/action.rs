//! Everything the editor can do: one table, from which keys, palette, command line, help and tests derive.

use std::fmt;

/// What follows an action's name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Nothing.
    None,
    /// Something that is asked for when it is not given.
    Asked(&'static str),
    /// Something that may be left out.
    Optional(&'static str),
}

/// Where an action makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Anywhere: it stands in the palette.
    Anywhere,
    /// Only while a list, a text or a question is open: its keys are shown there.
    Inside,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The action.
    pub verb: Verb,
    /// Its name: in `keymap/default.toml`, on the command line.
    pub name: &'static str,
    /// One line for people.
    pub doc: &'static str,
    /// What follows the name.
    pub argument: Argument,
    /// Where it makes sense.
    pub scope: Scope,
}

macro_rules! actions {
    ($($(#[doc = $doc:literal])* $verb:ident $name:literal $argument:expr, $scope:ident;)*) => {
        /// An action, without its argument.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Verb {
            $($(#[doc = $doc])* $verb,)*
        }

        /// Every action, in the order in which help lists them.
        pub const ACTIONS: &[Row] = &[
            $(Row {
                verb: Verb::$verb,
                name: $name,
                doc: concat!($($doc),*).trim_ascii(),
                argument: $argument,
                scope: Scope::$scope,
            },)*
        ];
    };
}

use Argument::{Asked, None as No, Optional};

actions! {
    /// Keys for this place
    Help "help" No, Anywhere;
    /// All actions, with their keys
    Palette "palette" No, Anywhere;
    /// Type the name of an action
    Command "command" No, Anywhere;
    /// Six steps through the editor
    Tour "tour" No, Anywhere;
    /// One step back; never leaves the editor
    Back "back" No, Anywhere;
    /// Next pane
    NextPane "next-pane" No, Anywhere;
    /// Previous pane
    PreviousPane "previous-pane" No, Anywhere;
    /// To the canvas
    PaneCanvas "pane-canvas" No, Anywhere;
    /// To the inspector
    PaneInspector "pane-inspector" No, Anywhere;
    /// To the dock: log, problems, runs, queue, loss
    PaneDock "pane-dock" No, Anywhere;
    /// To the preview
    PanePreview "pane-preview" No, Anywhere;
    /// This pane: normal, half, full
    Zoom "zoom-pane" No, Anywhere;
    /// Undo the last change
    Undo "undo" No, Anywhere;
    /// Do the change again that was undone last
    Redo "redo" No, Anywhere;
    /// The last change once more
    Repeat "repeat" No, Anywhere;
    /// Back to what the graph was some time ago: 5m, 30s, 2h, or a number of steps
    Earlier "earlier" Asked("time or steps"), Anywhere;
    /// Forward again: a number of steps
    Later "later" Asked("steps"), Anywhere;
    /// Save the graph
    Save "write" Optional("file"), Anywhere;
    /// Save every change by itself, or no more
    Autosave "autosave" No, Anywhere;
    /// Open another graph in a tab: a file, or a picture that para saved
    Open "open" Asked("file"), Anywhere;
    /// A new graph in a tab of its own
    NewTab "new-tab" No, Anywhere;
    /// Next tab
    NextTab "next-tab" No, Anywhere;
    /// Previous tab
    PreviousTab "previous-tab" No, Anywhere;
    /// Close the tab
    Close "close-tab" No, Anywhere;
    /// Leave the editor
    Quit "quit" No, Anywhere;
    /// Save and leave
    SaveQuit "write-quit" No, Anywhere;
    /// Leave without saving
    QuitNow "quit-now" No, Anywhere;
    /// Put the editor to sleep; fg wakes it
    Suspend "suspend" No, Anywhere;
    /// Draw everything anew
    Redraw "redraw" No, Anywhere;
    /// Stop what goes on; with nothing going on, leave
    Cancel "cancel" No, Anywhere;
    /// Colours: dark, light
    Theme "theme" Asked("dark or light"), Anywhere;

    /// Left: the node there, a lower value, the tab before
    Left "left" No, Anywhere;
    /// Down: the node there, the next row
    Down "down" No, Anywhere;
    /// Up: the node there, the row before
    Up "up" No, Anywhere;
    /// Right: the node there, a higher value, the next tab
    Right "right" No, Anywhere;
    /// A much lower value
    MuchLess "much-less" No, Anywhere;
    /// A much higher value
    MuchMore "much-more" No, Anywhere;
    /// Next port of the node
    NextPort "next-port" No, Anywhere;
    /// Previous port of the node
    PreviousPort "previous-port" No, Anywhere;
    /// Follow the wire to its source
    GoSource "go-source" No, Anywhere;
    /// Follow the wire to who uses it
    GoUser "go-user" No, Anywhere;
    /// First node
    GoFirst "go-first" No, Anywhere;
    /// Last node
    GoLast "go-last" No, Anywhere;
    /// The node that runs
    GoRunning "go-running" No, Anywhere;
    /// Next problem
    NextProblem "next-problem" No, Anywhere;
    /// Previous problem
    PreviousProblem "previous-problem" No, Anywhere;
    /// Next node that failed
    NextFailed "next-failed" No, Anywhere;
    /// Previous node that failed
    PreviousFailed "previous-failed" No, Anywhere;
    /// Find a node
    Find "find" Optional("name"), Anywhere;
    /// Next node found
    FindNext "find-next" No, Anywhere;
    /// Previous node found
    FindPrevious "find-previous" No, Anywhere;
    /// Move the view down
    PanDown "pan-down" No, Anywhere;
    /// Move the view up
    PanUp "pan-up" No, Anywhere;
    /// Move the view left
    PanLeft "pan-left" No, Anywhere;
    /// Move the view right
    PanRight "pan-right" No, Anywhere;
    /// See more of each node
    LevelMore "level-more" No, Anywhere;
    /// See less of each node
    LevelLess "level-less" No, Anywhere;
    /// See nodes with their ports
    LevelNormal "level-normal" No, Anywhere;
    /// Selected node to the middle
    Centre "centre" No, Anywhere;
    /// The level at which all fits
    Fit "fit" No, Anywhere;
    /// Minimap on or off
    Minimap "minimap" No, Anywhere;
    /// Take the node into the selection, or out
    Mark "mark" No, Anywhere;
    /// Select all nodes
    MarkAll "mark-all" No, Anywhere;
    /// Select only this node
    MarkNone "mark-none" No, Anywhere;

    /// Add a node of some type
    Add "add" Optional("type"), Anywhere;
    /// Add a node fed by the selected ones
    AddAfter "add-after" Optional("type"), Anywhere;
    /// Add a node that feeds the selected one
    AddBefore "add-before" Optional("type"), Anywhere;
    /// Connect this port
    Connect "connect" No, Anywhere;
    /// Cut a wire of the node
    CutWire "cut-wire" No, Anywhere;
    /// Cut all wires of the node
    CutWires "cut-wires" No, Anywhere;
    /// Edit: parameters of the node, the field, the row of a list
    Enter "edit" No, Anywhere;
    /// Edit the value in your $EDITOR
    EditOutside "edit-outside" No, Anywhere;
    /// Back to the default
    Default "default" No, Anywhere;
    /// Set a parameter: NODE.PARAMETER=VALUE
    Set "set" Asked("node.parameter=value"), Anywhere;
    /// Rename the node
    Rename "rename" Asked("new name"), Anywhere;
    /// Copy the selected nodes
    Copy "copy" No, Anywhere;
    /// Delete the selected nodes; they are in the clipboard
    Delete "delete" No, Anywhere;
    /// Paste nodes
    Paste "paste" No, Anywhere;
    /// Copies of the selected nodes, fed as they are
    Duplicate "duplicate" No, Anywhere;
    /// Bypass: what comes in goes out
    Bypass "bypass" No, Anywhere;
    /// Freeze: keep the result there is, whatever changes; or thaw
    Freeze "freeze" No, Anywhere;
    /// Pin the node a column to the left
    PinLeft "pin-left" No, Anywhere;
    /// Pin the node a row down
    PinDown "pin-down" No, Anywhere;
    /// Pin the node a row up
    PinUp "pin-up" No, Anywhere;
    /// Pin the node a column to the right
    PinRight "pin-right" No, Anywhere;
    /// Drop the pins of the selected nodes, or all
    Unpin "unpin" No, Anywhere;
    /// Group the selected nodes
    Group "group" Asked("name"), Anywhere;
    /// Dissolve the group
    Ungroup "ungroup" No, Anywhere;
    /// Look into the group
    GoInside "go-inside" No, Anywhere;
    /// Back out of the group
    LeaveGroup "leave-group" No, Anywhere;
    /// The selected nodes or the group, with all that feeds them, as a graph of their own in a file beside this one
    Extract "extract" Asked("name of a new file"), Anywhere;
    /// Fold or unfold the group
    Fold "fold" No, Anywhere;
    /// A note at the node
    Note "note" No, Anywhere;
    /// Help page of the node's type
    NodeHelp "node-help" No, Anywhere;
    /// Apply the fix of the problem
    Fix "fix" No, Anywhere;
    /// The graph as text in your $EDITOR
    EditText "edit-text" No, Anywhere;
    /// Title of the graph
    Title "title" Asked("title"), Anywhere;

    /// Run up to the selected nodes
    RunHere "run-here" No, Anywhere;
    /// Run everything
    Run "run" No, Anywhere;
    /// Run everything anew, whatever is in the store
    RunFresh "run-fresh" No, Anywhere;
    /// Queue a run of the graph as it is now
    Queue "queue" No, Anywhere;
    /// Stop at the next step
    Stop "stop" No, Anywhere;
    /// Stop at once, at the price of a new worker
    StopNow "stop-now" No, Anywhere;
    /// Run on every change, or no more
    Watch "watch" No, Anywhere;
    /// Ask the training for a picture now
    SampleNow "sample-now" No, Anywhere;
    /// Ask the training for a checkpoint now
    BackUpNow "back-up-now" No, Anywhere;
    /// End the training here and go on with what it learnt
    StopAndKeep "stop-and-keep" No, Anywhere;
    /// Runs of the past: their graphs, pictures and losses
    Runs "runs" No, Anywhere;
    /// Compare the marked runs
    Compare "compare" No, Anywhere;
    /// Open the graph of the run in this editor
    RestoreRun "restore-run" No, Anywhere;
    /// Load node crates that were built since
    Reload "reload" No, Anywhere;
    /// A new worker
    Restart "restart-worker" No, Anywhere;
    /// Frames drawn, bytes sent, events seen
    Debug "debug" No, Anywhere;
    /// The picture in full
    PictureFull "picture-full" No, Anywhere;

    /// Take what is chosen or typed
    Accept "accept" No, Inside;
    /// Next row
    Next "next" No, Inside;
    /// Previous row
    Previous "previous" No, Inside;
    /// Ten rows down
    NextPage "next-page" No, Inside;
    /// Ten rows up
    PreviousPage "previous-page" No, Inside;
    /// Complete what is typed
    Complete "complete" No, Inside;
    /// Connect to a port of another type, through a node that converts
    Through "through" No, Inside;
    /// A new line in the text
    NewLine "new-line" No, Inside;
}

/// An action with its argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// What to do.
    pub verb: Verb,
    /// With what.
    pub argument: Option<String>,
}

impl Verb {
    /// Its row of the table.
    pub fn row(self) -> &'static Row {
        &ACTIONS[self as usize]
    }
}

impl From<Verb> for Action {
    fn from(verb: Verb) -> Self {
        Self { verb, argument: None }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb.row().name)?;
        match &self.argument {
            Some(argument) => write!(f, " {argument}"),
            None => Ok(()),
        }
    }
}

/// Names that people type out of habit.
const ALIASES: &[(&str, &str)] = &[
    ("q", "quit"),
    ("q!", "quit-now"),
    ("w", "write"),
    ("wq", "write-quit"),
    ("x", "write-quit"),
    ("e", "open"),
    ("u", "undo"),
    ("h", "help"),
];

/// Reads a line of the command line.
///
/// # Errors
/// No action of that name, or an argument where none belongs.
pub fn parse(line: &str) -> Result<Action, String> {
    let line = line.trim().trim_start_matches(':');
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let name = ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, full)| full);
    let Some(row) = ACTIONS
        .iter()
        .find(|row| row.name == name && row.scope == Scope::Anywhere)
    else {
        let near = graph::nearest(name, ACTIONS.iter().map(|row| row.name));
        return Err(match near {
            Some(near) => format!("no action `{name}`: did you mean `{near}`?"),
            None => format!("no action `{name}`: Space Space lists them"),
        });
    };
    let rest = rest.trim();
    if row.argument == No && !rest.is_empty() {
        return Err(format!("`{name}` takes nothing after its name"));
    }
    let argument = (!rest.is_empty()).then(|| rest.to_owned());
    Ok(Action {
        verb: row.verb,
        argument,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rows_stand_where_their_verb_says_and_explain_themselves() {
        let names: BTreeSet<_> = ACTIONS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ACTIONS.len());
        for (at, row) in ACTIONS.iter().enumerate() {
            assert_eq!(row.verb as usize, at);
            assert!(row.doc.len() > 3 && !row.doc.ends_with('.'), "{}", row.name);
        }
        for (alias, full) in ALIASES {
            assert!(names.contains(full) && !names.contains(alias), "{alias}");
        }
    }

    #[test]
    fn lines_are_read() {
        assert_eq!(parse(":wq").unwrap(), Verb::SaveQuit.into());
        assert_eq!(parse("earlier 5m").unwrap().argument.as_deref(), Some("5m"));
        assert_eq!(parse("undoo").unwrap_err(), "no action `undoo`: did you mean `undo`?");
        assert!(parse("undo 3").unwrap_err().contains("takes nothing"));
        assert!(parse("accept").is_err(), "only inside lists");
    }
}
