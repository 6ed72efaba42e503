import nnscratch as torch
import nnscratch.nn as nn
import nnscratch.optim as optim

# 定义网络结构
class SimpleNN(nn.Module):
    def __init__(self, input_dim, hidden_dim, output_dim):
        super(SimpleNN, self).__init__()
        self.fc1 = nn.Linear(input_dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, output_dim)
    
    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = self.fc2(x)
        return x

# 初始化模型、损失函数和优化器
model = SimpleNN(input_dim=10, hidden_dim=10, output_dim=2)
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=0.001)

# 数据准备（此处为简化示例，实际应用中需要收集和处理真实数据）
x_data = torch.randn(1000, 10)
y_data = torch.randint(0, 2, (1000,))
x_data, y_data = x_data.to('cuda' if torch.cuda.is_available() else 'cpu'), y_data.to('cuda' if torch.cuda.is_available() else 'cpu')

# 训练模型
for epoch in range(500):
    optimizer.zero_grad()
    y_pred = model(x_data)
    loss = criterion(y_pred, y_data)
    loss.backward()
    optimizer.step()
    if (epoch + 1) % 100 == 0:
        print(f'Epoch [{epoch + 1}/{500}], Loss: {loss.item()}')

# 模型评估
with torch.no_grad():
    y_pred = model(x_data)
    accuracy = (y_pred.argmax(1) == y_data).float().mean()
    print(f'Accuracy: {accuracy.item()}')

# 模型部署（此处为简化示例，实际应用中需将模型部署到生产环境）
# model.eval()
# ...（具体部署代码）
