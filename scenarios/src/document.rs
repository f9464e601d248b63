//! A scenario's text: read once, changed by `--set`, and loaded as often as needed.

use crate::diagnostics::{Diagnostics, Sources};
use crate::image::Image;
use crate::load::{Files, Loaded, load};
use crate::schema::decode;
use crate::set_path::{NumericPath, numeric_paths, set};
use crate::tree::{Node, SourceId, parse};

/// A scenario's text as a tree that can be changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    tree: Node,
    diags: Diagnostics,
}

impl Document {
    /// Reads `text`, the contents of the file called `name`.
    ///
    /// # Errors
    /// The first place where it is not RON.
    pub fn parse(name: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut sources = Sources::default();
        let source = sources.add(name, text);
        let mut diags = Diagnostics::new(sources);
        match parse(source, text) {
            Ok(tree) => {
                double_check(source, text, &mut diags);
                if diags.errors() > 0 { Err(diags) } else { Ok(Self { tree, diags }) }
            }
            Err(error) => {
                diags.error(error.span, error.message, error.help);
                Err(diags)
            }
        }
    }

    /// Changes a value: `argument` is `PATH=VALUE`. Mistakes are reported by
    /// [`Document::load`] together with all others.
    pub fn set(&mut self, argument: &str) {
        set(&mut self.tree, "--set", argument, &mut self.diags);
    }

    /// The same for a value out of the range that `--param` names.
    pub(crate) fn set_swept(&mut self, argument: &str) {
        set(&mut self.tree, "--param", argument, &mut self.diags);
    }

    /// Values that a sweep can run over.
    #[must_use]
    pub fn numeric_paths(&self) -> Vec<NumericPath> {
        numeric_paths(&self.tree)
    }

    /// Decodes, checks, assembles and links. `guest` is the guest kernel's image.
    ///
    /// # Errors
    /// Everything that is wrong with the scenario.
    pub fn load(&self, guest: &Image, files: &dyn Files) -> Result<Loaded, Diagnostics> {
        let mut diags = self.diags.clone();
        let scenario = decode(&self.tree, &mut diags);
        load(&scenario, &self.tree, guest, files, diags)
    }
}

/// The language is RON and no dialect: what the tree's reader takes, `ron` must take as well.
fn double_check(source: SourceId, text: &str, diags: &mut Diagnostics) {
    use serde::de::IgnoredAny;
    let Err(error) = ron::Options::default().from_str::<IgnoredAny>(text) else { return };
    let at = error.span.start;
    let line_start =
        text.split_inclusive('\n').take(at.line.saturating_sub(1)).map(str::len).sum::<usize>();
    let column = text[line_start..].chars().take(at.col.saturating_sub(1));
    let start = line_start + column.map(char::len_utf8).sum::<usize>();
    let end = text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
    let span = crate::tree::Span { source, start, end };
    diags.error(span, error.code.to_string(), None);
}
