/// What this build of Millrace is.
public enum Release {
    /// The version that all programs show, and that packages have. Raised by the commit that a release is made of.
    public static let version = "0.1.0"
}
