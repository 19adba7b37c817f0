internal import CLinux
public import Glibc

extension posix_spawn_file_actions_t {
    /// Closes all descriptors from 3 on in the child. Not every library opens its own with close-on-exec, and what a
    /// child has as well stays open when we close ours: a port stays taken, a connection never ends.
    ///
    /// - Precondition: the actions are initialized, and all that uses such a descriptor was added before.
    public mutating func addCloseOfOthers() {
        // SAFETY: the actions are initialized. It fails only without memory; then the child inherits more than it needs.
        _ = unsafe clinux_spawn_close_from(&self, 3)
    }
}
