import OperatorCommands

await MillraceCommand.runToExit()
