import CommandServiceProgram
import Daemon

await CommandServiceProgram.main()
